package serfrpc

import (
	"slices"
	"testing"

	"github.com/hashicorp/serf/serf"
)

func TestEventFilters(t *testing.T) {
	join := serf.MemberEvent{Type: serf.EventMemberJoin}
	deploy, query := serf.UserEvent{Name: "deploy"}, &serf.Query{Name: "load"}
	for text, want := range map[string][]bool{
		"":                       {true, true, true},
		"*":                      {true, true, true},
		"member-join":            {true, false, false},
		"user":                   {false, true, false},
		"user:deploy":            {false, true, false},
		"user:other,query:load":  {false, false, true},
		"member-failed,query":    {false, false, true},
		"member-join,user:other": {true, false, false},
	} {
		filters, err := parseFilters(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		for i, e := range []serf.Event{join, deploy, query} {
			if got := slices.ContainsFunc(filters, func(f eventFilter) bool { return f.passes(e) }); got != want[i] {
				t.Errorf("%q lets %v pass: %v", text, e, got)
			}
		}
	}
	for _, bad := range []string{"joins", "member-join:x", "user,", ","} {
		if _, err := parseFilters(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestMemberFiltersMatchTheWhole(t *testing.T) {
	m := member{Name: "host-1", Status: "alive", Tags: map[string]string{"r": "a"}}
	for _, c := range []struct {
		filter memberFilter
		want   bool
	}{
		{memberFilter{}, true},
		{memberFilter{Name: "host"}, false},
		{memberFilter{Name: "host-.*"}, true},
		{memberFilter{Name: "host|host-1"}, true},
		{memberFilter{Status: "failed|alive", Tags: map[string]string{"r": "a"}}, true},
		{memberFilter{Tags: map[string]string{"r": "g"}}, false},
		{memberFilter{Tags: map[string]string{"absent": "x"}}, false},
	} {
		match, err := c.filter.compile()
		if err != nil || match(&m) != c.want {
			t.Errorf("%+v: %v, want %v", c.filter, err, c.want)
		}
	}
	if _, err := (&memberFilter{Name: "("}).compile(); err == nil {
		t.Error("an expression that is none is taken")
	}
}

func TestSlowMonitorIsToldWhatItMissed(t *testing.T) {
	s := &lineStream{level: slices.Index(levels, "INFO"), lines: make(chan string, 2)}
	for _, line := range []string{"[DEBUG] a", "[INFO] b", "c", "[WARN] d", "[ERR] e"} {
		s.offer(line)
	}
	if first, second := <-s.lines, <-s.lines; first != "[INFO] b" || second != "c" {
		t.Errorf("it got %q and %q", first, second)
	}
	s.offer("[INFO] f")
	if first, second := <-s.lines, <-s.lines; first != "[WARN] 2 lines dropped: they came faster than they were read" || second != "[INFO] f" {
		t.Errorf("it got %q and %q", first, second)
	}
}
