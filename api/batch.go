package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"grapevine/fleet"
	"grapevine/internal/atonce"
)

// aboutBatch is what a create with a count answers, for the document.
const aboutBatch = " With count the answer has one item for each instance, in order, that is accepted or has a problem: 202 where all were accepted (200 where wait saw them all done), " +
	"207 where some were. Where none was and all for one reason, the answer is that problem, with its status, and the items are in its batch. " +
	"The same key and body give the same instances, and only those are made that are missing; so does the body with a higher count."

// created is the answer to a create: an Accepted, or with a count a Batch.
type created struct {
	one  *fleet.Accepted
	many *fleet.Batch
}

// MarshalJSON implements json.Marshaler.
func (c created) MarshalJSON() ([]byte, error) {
	if c.many != nil {
		return json.Marshal(c.many)
	}
	return json.Marshal(c.one)
}

// Schema implements huma.SchemaProvider.
func (created) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{
		r.Schema(reflect.TypeFor[fleet.Accepted](), true, "Accepted"), r.Schema(reflect.TypeFor[fleet.Batch](), true, "Batch"),
	}}
}

// createdOut is the answer to a create.
type createdOut struct {
	Status  int
	Version string `header:"Grapevine-Version" doc:"the host's version under which a lone create is visible"`
	Body    created
}

// batch is a create with a count under way.
type batch struct {
	*server
	in    *createIn
	hash  string
	wait  time.Duration
	items []fleet.BatchItem

	mu       sync.Mutex
	verdicts int // how many the items may still have; guarded by mu
}

// createBatch makes the instances, a few at a time, and then waits for all of
// them together.
func (s *server) createBatch(ctx context.Context, in *createIn, wait time.Duration) (*createdOut, error) {
	hash, err := batchHash(in.sent)
	if err != nil {
		return nil, err
	}
	b := &batch{server: s, in: in, hash: hash, wait: wait, items: make([]fleet.BatchItem, in.Body.Count), verdicts: fleet.MaxBatchVerdicts}
	create := s.core.Batch()
	atonce.Each(len(b.items), fleet.BatchAbreast, func(i int) { b.items[i] = b.make(ctx, create, i+1) })
	return b.answer(ctx)
}

// make makes the i-th instance.
func (b *batch) make(ctx context.Context, create func(context.Context, CreateInstance) (fleet.Accepted, error), i int) fleet.BatchItem {
	item := fleet.BatchItem{Name: b.in.Body.Item(i).Name}
	accepted, err := fleet.Accepted{}, ctx.Err() // who has gone away is made nothing more
	if err == nil {
		accepted, err = create(ctx, CreateInstance{Create: b.in.Body.Item(i), Key: fleet.BatchKey(b.in.Key, i), Hash: b.hash, Fast: b.in.Consistency == fleet.ConsistencyFast})
	}
	if err != nil {
		item.Problem = b.problem(ctx, err)
	} else {
		item.Accepted = &accepted
	}
	return item
}

// problem returns an item's error. Verdicts name each host of the fleet: items
// that would take the answer past its bound go without, their sentence says as
// much.
func (b *batch) problem(ctx context.Context, err error) *fleet.ItemProblem {
	var p *problem
	if !errors.As(b.refuse(ctx, "POST /v1/instances", askingIn(ctx).who.Veil(err)), &p) {
		p = problemOf(errInternal)
	}
	out := &fleet.ItemProblem{
		Type: p.Type, Title: p.Title, Status: p.Status, Code: p.Code, Detail: p.Detail,
		Refusals: p.Refusals, Verdicts: p.Verdicts, Instance: p.Instance, Candidates: p.Candidates,
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(out.Verdicts) > b.verdicts {
		out.Verdicts = nil
	}
	b.verdicts -= len(out.Verdicts)
	return out
}

// answer waits for what was accepted and sums up.
func (b *batch) answer(ctx context.Context) (*createdOut, error) {
	done := b.await(ctx)
	sum := &fleet.Batch{Items: b.items}
	alike := true
	for i := range b.items {
		if p := b.items[i].Problem; p != nil {
			sum.Failed++
			alike = alike && b.items[0].Problem != nil && p.Code == b.items[0].Problem.Code
		}
	}
	sum.Accepted = len(b.items) - sum.Failed
	switch {
	case sum.Failed == 0 && done:
		return &createdOut{Status: http.StatusOK, Body: created{many: sum}}, nil
	case sum.Failed == 0:
		return &createdOut{Status: http.StatusAccepted, Body: created{many: sum}}, nil
	case sum.Accepted == 0 && alike:
		first := b.items[0].Problem
		return nil, &fleet.Error{Code: first.Code, Batch: sum, Detail: fmt.Sprintf("none of %d instances was made; the first: %s", len(b.items), first.Detail)}
	default:
		return &createdOut{Status: http.StatusMultiStatus, Body: created{many: sum}}, nil
	}
}

// await holds the answer until all that was accepted is done, and reports whether
// it is.
func (b *batch) await(ctx context.Context) bool {
	var all sync.WaitGroup
	going := make([]bool, len(b.items))
	for i := range b.items {
		accepted := b.items[i].Accepted
		if accepted == nil {
			continue
		}
		all.Go(func() {
			out := b.reply(ctx, *accepted, b.wait)
			*accepted, going[i] = out.Body, out.Status != http.StatusOK
		})
	}
	all.Wait()
	for _, g := range going {
		if g {
			return false
		}
	}
	return true
}

// batchHash covers the body as it was sent but for its count and its blanks, so
// that a batch may be asked to be larger under the same key.
func batchHash(sent []byte) (string, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(sent, &fields); err != nil {
		return "", badRequest("body: it is not JSON: %v", err)
	}
	delete(fields, "count")
	plain, err := json.Marshal(fields) // in the order of the names, without blanks
	if err != nil {
		return "", badRequest("body: it is not JSON: %v", err)
	}
	hash := sha256.Sum256(plain)
	return hex.EncodeToString(hash[:]), nil
}
