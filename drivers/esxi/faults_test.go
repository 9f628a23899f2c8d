package esxi_test

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"grapevine/drivers"
)

// someOf is every third request, from one to the last, beginning with another
// in each run, so that a few runs meet them all.
func someOf(requests int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for n := 1 + rand.IntN(3); n <= requests; n += 3 {
			if !yield(n) {
				return
			}
		}
	}
}

// The login may end before any request of any deed: it is renewed beneath it,
// and the deed is done once.
func TestLoginMayEndAnywhere(t *testing.T) {
	eachDeed(t, all, func(l *lab, d deed) {
		requests, _, after := l.once(d)
		for n := range someOf(requests) {
			l.begin(d)
			l.h.host.ExpireAt(n)
			if err := d.do(l.t.Context(), l); err != nil {
				l.t.Errorf("request %d of %d finds the login ended: %v", n, requests, err)
			}
			l.want("afterwards", after)
		}
	})
}

// The answer to any request may be lost after the host has done what was
// asked: the deed says that the host does not answer, and doing it again ends
// it, once.
func TestAnswerMayBeLostAnywhere(t *testing.T) {
	eachDeed(t, all, func(l *lab, d deed) {
		requests, _, after := l.once(d)
		for n := range someOf(requests) {
			l.begin(d)
			l.h.host.LoseAnswer(n)
			if err := d.do(l.t.Context(), l); err != nil && !errors.Is(err, drivers.ErrUnavailable) {
				l.t.Errorf("the answer to request %d of %d is lost: got %v, want ErrUnavailable", n, requests, err)
			}
			l.h.host.NoMoreFaults()
			l.must(d.do(l.t.Context(), l))
			l.want("done again", after)
		}
	})
}

// A task of the host may fail, for whatever reason: the deed fails with the
// host's word for it, leaves what was there, and works when done again.
func TestTaskMayFail(t *testing.T) {
	eachDeed(t, all, func(l *lab, d deed) {
		_, before, after := l.once(d)
		for _, method := range d.tasks {
			for _, tt := range []struct {
				fault string
				arm   func(method, fault string)
				want  error
			}{
				{"GenericVmConfigFault", l.h.host.FailTask, nil},
				{"InvalidState", l.h.host.FailTask, nil},
				{"NoDiskSpace", l.h.host.FailTask, drivers.ErrOutOfSpace},
				{"TaskInProgress", l.h.host.RefuseCall, nil},
			} {
				l.begin(d)
				tt.arm(method, tt.fault)
				err := d.do(l.t.Context(), l)
				if err == nil || !strings.Contains(err.Error(), tt.fault) || tt.want != nil && !errors.Is(err, tt.want) {
					l.t.Errorf("%s fails with %s: got %v", method, tt.fault, err)
				}
				if !d.forward {
					l.want("after "+method+" failed with "+tt.fault, before)
				}
				l.must(d.do(l.t.Context(), l))
				l.want("done again", after)
			}
		}
	})
}

func TestFullDatastoreIsSaidAndLeavesNothing(t *testing.T) {
	grows := func(d deed) bool { return d.grows }
	eachDeed(t, grows, func(l *lab, d deed) {
		_, before, after := l.once(d)
		l.begin(d)
		l.h.host.FillDatastore(true)
		if err := d.do(l.t.Context(), l); !errors.Is(err, drivers.ErrOutOfSpace) {
			l.t.Errorf("got %v, want ErrOutOfSpace", err)
		}
		l.want("on a full datastore", before)
		l.must(d.do(l.t.Context(), l))
		l.want("with room again", after)
	})
}

// A task that takes its time keeps nobody else waiting, and is cancelled at the
// host when the caller gives up.
func TestSlowTaskIsCancelled(t *testing.T) {
	eachDeed(t, all, func(l *lab, d deed) {
		_, before, after := l.once(d)
		for _, method := range d.tasks {
			l.begin(d)
			hold := l.h.host.HoldTask(method)
			ctx, cancel := context.WithCancel(l.t.Context())
			ended := make(chan error, 1)
			go func() { ended <- d.do(ctx, l) }()
			l.wait(method+" is under way", hold.Reached())
			if _, err := l.d.List(l.t.Context()); err != nil {
				l.t.Errorf("list while %s is under way: %v", method, err)
			}
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				l.t.Errorf("%s: got %v, want context.Canceled", method, err)
			}
			l.wait(method+" is cancelled", hold.Cancelled())
			if !d.forward {
				l.want("after "+method+" was cancelled", before)
			}
			l.must(d.do(l.t.Context(), l))
			l.want("done again", after)
		}
	})
}

func (l *lab) wait(what string, happened <-chan struct{}) {
	l.t.Helper()
	select {
	case <-happened:
	case <-time.After(time.Minute):
		l.t.Fatalf("not within a minute: %s", what)
	}
}

// A build that loses the connection while the host makes the machine leaves
// that to the host: the next build waits for what comes of it.
func TestBuildWaitsForWhatAnEarlierOneBegan(t *testing.T) {
	l := newLab(t)
	build := deeds()[0]
	_, _, after := l.once(build)
	l.begin(build)
	hold := l.h.host.HoldTask("CreateVM_Task")
	defer hold.Release()
	ended := make(chan error, 1)
	do := func() { ended <- build.do(t.Context(), l) }
	go do()
	l.wait("the machine is being made", hold.Reached())
	l.h.host.Cut()
	if err := <-ended; !errors.Is(err, drivers.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	l.h.host.Restore()
	l.h.host.CountRequests()
	go do()
	for l.h.host.Requests() < 20 { // connecting, and then waiting
		select {
		case err := <-ended:
			t.Fatalf("the second build did not wait: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	hold.Release()
	l.must(<-ended)
	l.want("built twice", after)
}
