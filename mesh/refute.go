package mesh

import (
	"context"
	"math"
	"time"

	"grapevine/internal/pause"
)

// refuting is what memberlist logs when it has told others that this member is
// alive after all. It says so in no other way.
const refuting = "memberlist: Refuting a"

// sayTries is how often a refutation is repeated at most. Where many members are
// busy, gossip has no room to send all that is said as often as it should, and
// no word is ever reported as sent; so a third would only be in the way.
const sayTries = 2

// keepRefuting says again that this member is alive whenever memberlist has
// said so to a suspicion, until it is known that the word has gone out. It
// returns when ctx ends, and a second or two later at most.
//
// For memberlist's queue of what is to be said loses some of it
// (https://github.com/hashicorp/memberlist/pull/263): it tells messages of equal
// length apart by a number that it begins anew when the queue is empty for a
// moment, while the message being put into it keeps the number it was given
// before. A later one that gets the same number takes its place, or is removed
// in its place. That takes several messages between two rounds of gossip, which
// is what a busy member handles when it gets the processor back, and its own
// refutation is one of them. Nothing repeats a refutation to those who suspect
// on: all will have failed the member soon, although it answers them.
//
// A broadcast that was lost is never reported as sent, and so is made anew.
func (s *serfMembers) keepRefuting(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.logs.refuted:
		}
		for range sayTries {
			// After a round of gossip it is not mixed up with what came with the suspicion.
			if !pause.For(ctx, gossipInterval) || s.sayAlive() {
				break
			}
		}
	}
}

// sayAlive broadcasts that this member is alive, and reports whether that has
// gone out, or need not. It blocks until then, for timeToSend at most.
func (s *serfMembers) sayAlive() bool {
	sf := s.running()
	if sf == nil || s.departed.Load() {
		return true
	}
	ml := sf.Memberlist()
	err := ml.UpdateNode(timeToSend(ml.NumMembers()))
	if err != nil {
		s.cfg.Log.Debug("a word that this member is alive was lost before it was sent; saying it again", "error", err)
	}
	return err == nil
}

// timeToSend is how long a broadcast may be in the queue of a member that
// knows of so many, itself included: each is sent
// retransmitMult * ceil(log10(members+1)) times, to gossipNodes others a round.
// A queue that is full, and a machine that is busy, take as long again and some
// rounds more. That is less than half of what a suspicion lasts at least.
func timeToSend(members int) time.Duration {
	copies := retransmitMult * int(math.Ceil(math.Log10(float64(members)+1)))
	others := max(1, min(gossipNodes, members-1))
	rounds := (copies + others - 1) / others
	return time.Duration(2*rounds+3) * gossipInterval
}
