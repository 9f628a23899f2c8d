package api

import (
	"context"
	"errors"
	"io"
	"iter"
	"testing"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

// watching is a core whose watch yields these steps.
func watching(steps ...func(yield func([]fleet.HostChange, error) bool) bool) *fakeCore {
	core := full()
	core.watch = func(context.Context, string) (iter.Seq2[[]fleet.HostChange, error], error) {
		return func(yield func([]fleet.HostChange, error) bool) {
			for _, step := range steps {
				if !step(yield) {
					return
				}
			}
		}, nil
	}
	return core
}

func tells(changes ...fleet.HostChange) func(func([]fleet.HostChange, error) bool) bool {
	return func(yield func([]fleet.HostChange, error) bool) bool { return yield(changes, nil) }
}

func TestWatchTellsChangesAndThenWhyItEnds(t *testing.T) {
	second := changeNow
	second.Version.Seq++
	second.Missed = 3
	ended := &fleet.Error{Code: fleet.CodeNotReady, Detail: "shutting down"}
	core := watching(tells(changeNow), tells(), tells(second), func(yield func([]fleet.HostChange, error) bool) bool { return yield(nil, ended) })
	w, err := dial(t, core, AsOperator).Watch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	for _, want := range []fleet.HostChange{changeNow, second} {
		got, err := w.Next()
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got)\n%s", err, diff)
		}
	}
	var got *fleet.Error
	if _, err := w.Next(); !errors.As(err, &got) || got.Code != ended.Code || got.Detail != ended.Detail {
		t.Errorf("ended with %v, want %v", err, ended)
	}
}

func TestWatchThatIsCutOffIsNotTakenForEnded(t *testing.T) {
	w, err := dial(t, watching(tells(changeNow)), AsOperator).Watch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	if _, err := w.Next(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want an unexpected end", err)
	}
}

func TestClientThatGoesEndsItsWatch(t *testing.T) {
	gone := make(chan struct{})
	core := full()
	core.watch = func(ctx context.Context, _ string) (iter.Seq2[[]fleet.HostChange, error], error) {
		return func(yield func([]fleet.HostChange, error) bool) {
			defer close(gone)
			yield([]fleet.HostChange{changeNow}, nil)
			<-ctx.Done()
		}, nil
	}
	w, err := dial(t, core, AsOperator).Watch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Next(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	<-gone
}

func TestWatchIsRefusedBeforeItStreams(t *testing.T) {
	core := full()
	core.watch = func(context.Context, string) (iter.Seq2[[]fleet.HostChange, error], error) {
		return nil, &fleet.Error{Code: fleet.CodeTooMany, Detail: "32 watch already"}
	}
	if p := problemIn(t, do(t, core, request{method: "GET", target: "/v1/mesh/watch"})); p.Code != fleet.CodeTooMany || p.Status != 429 {
		t.Errorf("got %+v, want 429 too_many", p)
	}
}

func TestQuestionsAboutNodesWantWhatTheyNeed(t *testing.T) {
	for _, target := range []string{
		"/v1/mesh/trace",
		"/v1/mesh/trace?instance=" + instanceText + "&host=" + hostText,
		"/v1/mesh/trace?instance=web",
		"/v1/mesh/diff",
		"/v1/mesh/diff?a=x&b=x",
		"/v1/mesh/rtt",
	} {
		if p := problemIn(t, do(t, full(), request{method: "GET", target: target})); p.Code != fleet.CodeBadRequest {
			t.Errorf("%s: got %+v, want bad_request", target, p)
		}
	}
}
