package agent

import (
	"context"
	"slices"

	"grapevine/agent/records"
	"grapevine/fleet"
)

// holdersARound is of how many records holders are replaced at once: each may take
// as long as its peers take to answer, and the rest waits for the next round.
const holdersARound = 64

// replaceHolders has records held by others where too few of the hosts that hold
// them are left: one was given up, or the fleet was too small when the record was
// made. A holder that is only silent comes back with what it holds.
func (a *Agent) replaceHolders(ctx context.Context) {
	left := a.hostsLeft()
	replaced := 0
	for _, r := range a.shelved() {
		if ctx.Err() != nil || replaced == holdersARound {
			return
		}
		if !a.isToReplace(&r, left) {
			continue
		}
		replaced++
		done, err := a.hold(ctx, r)
		if err != nil {
			a.log.Debug("record not held by others yet", "record", r.ID, "error", err)
			continue
		}
		a.log.Info("record held by others in place of hosts that are gone", "record", r.ID, "kind", r.Kind, "holders", done.Holders)
	}
}

// hostsLeft are the hosts that nobody gave up and that did not leave, this one
// among them.
func (a *Agent) hostsLeft() map[fleet.HostID]bool {
	left := map[fleet.HostID]bool{a.hostID: true}
	for _, host := range a.holdersToBe(&fleet.Record{}) {
		left[host] = true
	}
	return left
}

// shelved are the records that this agent holds, in the order of their ids, so
// that agents which all have much to do begin with the same.
func (a *Agent) shelved() []fleet.Record {
	a.state.mu.Lock()
	defer a.state.mu.Unlock()
	list := a.state.records.All()
	slices.SortFunc(list, func(a, b fleet.Record) int { return a.ID.Compare(b.ID) })
	return list
}

// isToReplace reports whether a record that counts has too few holders left, and
// whether it is this agent's to find others: that of the holders which ranks
// highest and is heard.
func (a *Agent) isToReplace(r *fleet.Record, left map[fleet.HostID]bool) bool {
	_, bear, _ := a.Record(r.ID)
	may := func(host fleet.HostID) bool { return left[host] && host != r.Subject && host != r.Covers.Host }
	candidates := len(left)
	for _, host := range slices.Compact([]fleet.HostID{r.Subject, r.Covers.Host}) {
		if left[host] {
			candidates--
		}
	}
	remain := slices.DeleteFunc(slices.Clone(bear), func(host fleet.HostID) bool { return !may(host) })
	if len(remain) >= records.Needed(candidates) || a.View.Standing(r) != fleet.RecordStands {
		return false
	}
	for _, host := range fleet.RankedFor(r.ID, remain) {
		if host == a.hostID || a.Heard(host) {
			return host == a.hostID
		}
	}
	return false
}
