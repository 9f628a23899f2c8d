package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
)

// createBatch sends a create of several instances, and again when its answer was
// lost, and reports each of them.
func (a *app) createBatch(ctx context.Context, node *client.Client, b *batch) error {
	many := fleet.CreateMany{Create: b.create, Count: b.count}
	answer, err := again(ctx, func() (fleet.Batch, error) {
		return node.CreateBatch(ctx, many, client.CreateOptions{Key: b.key, Wait: b.wait, Fast: b.fast})
	})
	if none, ok := errors.AsType[*fleet.Error](err); ok && none.Batch != nil {
		answer, err = *none.Batch, nil // what is wrong is said of each
	}
	if err != nil {
		return howToRetry(err, b.key)
	}
	if err := a.print(answer, func() written { return batchTable(answer.Items, b.wait) }); err != nil {
		return err
	}
	failed := 0
	for i := range answer.Items {
		if batchFault(&answer.Items[i], b.wait) != "" {
			failed++
		}
	}
	if failed > 0 {
		a.note("%d of %s failed; the same command with --key %s does only what is missing", failed, plural(b.count, "create"), b.key)
		return errReported
	}
	return nil
}

func batchTable(items []fleet.BatchItem, wait time.Duration) *table {
	t := &table{columns: []column{{title: "NAME"}, {title: "ID", sparse: true}, {title: "HOST", sparse: true}, {title: "RESULT"}}}
	for i := range items {
		item := &items[i]
		id, host, result := "", "", cell{}
		if item.Accepted != nil {
			id, host, result = item.Accepted.Instance.ID.String(), item.Accepted.Instance.HostName, cell{stateOf(item.Accepted, wait), good}
		}
		if fault := batchFault(item, wait); fault != "" {
			result = cell{sentence(errors.New(fault)), bad}
		}
		t.add(text(item.Name), text(id), text(host), result)
	}
	return t
}

// batchFault says why an item counts as failed; nothing for one that does not.
func batchFault(item *fleet.BatchItem, wait time.Duration) string {
	switch {
	case item.Problem != nil:
		return fmt.Sprintf("%s: %s", item.Problem.Code, item.Problem.Detail)
	case item.Accepted == nil:
		return "the node said nothing of it"
	case wait <= 0 || item.Accepted.Gone:
		return ""
	case item.Accepted.Instance.Fault != "":
		return item.Accepted.Instance.Fault
	case item.Accepted.Instance.Task != fleet.TaskNone:
		return fmt.Sprintf("still %s after %s", item.Accepted.Instance.Task, wait)
	}
	return ""
}
