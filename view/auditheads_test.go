package view

import (
	"fmt"
	"slices"
	"testing"

	"grapevine/fleet"
)

func TestHeadsAreRememberedFurtherApartTheOlderTheyAre(t *testing.T) {
	link := func(n uint64) fleet.AuditLink { return fleet.AuditLink{Number: n, Hash: fmt.Sprint(n)} }
	var h heardAudit
	for n := range uint64(1000) {
		h.hear(link(n + 1))
		h.hear(link(n + 1))
	}
	got := fmt.Sprint(h.links())
	if want := "[{896 896} {928 928} {960 960} {992 992} {996 996} {998 998} {999 999} {1000 1000}]"; h.odd != 0 || got != want && len(h.links()) != auditSlots {
		t.Errorf("remembered are %s (%d odd)", got, h.odd)
	}
	if links := h.links(); links[0].Number > 1000-100 || links[len(links)-1] != link(1000) {
		t.Errorf("the oldest and the newest that are remembered are %v and %v", links[0], links[len(links)-1])
	}
	// The log is cut back, and goes on for long.
	for n := range uint64(500) {
		h.hear(fleet.AuditLink{Number: 300 + n, Hash: "anew"})
	}
	before := h.links()
	for n := range uint64(300) {
		h.hear(fleet.AuditLink{Number: 1001 + n, Hash: "further"})
	}
	links := h.links()
	if !slices.Contains(links, link(1000)) {
		t.Errorf("when it has gone on for long, what was lost is forgotten: %v", links)
	}
	links = before
	if links[len(links)-1] != link(1000) || h.odd != 500 {
		t.Errorf("after it was cut back the highest is %v, and %d heads were odd", links[len(links)-1], h.odd)
	}
}
