package exchange

import "testing"

func TestOriginPushesToThoseOfWhomItKnowsWhatTheyHold(t *testing.T) {
	s := newSim(2)
	s.link(0, 1)
	s.publish(s.nodes[0], vm(1, 0))
	s.settle()
	if s.sent["*wire.Announce"] != 1 || s.sent["*wire.Want"] != 1 {
		t.Errorf("to a peer that may hold nothing went %v, want an announcement", s.sent)
	}
	clear(s.sent)
	for round := range 3 {
		s.publish(s.nodes[0], vm(1, round+1), vm(2+round, 0)) // deletes, too
	}
	s.settle()
	if len(s.sent) != 1 || s.sent["*wire.Answer"] != 1 {
		t.Errorf("three further publications, told together, took %v, want one answer", s.sent)
	}
	if got := s.nodes[0].x.Stats().Pushed; got != 1 {
		t.Errorf("%d pushes are counted, want 1", got)
	}
	if !s.agreed() {
		t.Error("the nodes do not agree")
	}
}

func TestPushThatStartsFromWhatIsNotHeldIsAsGoodAsAnAnnouncement(t *testing.T) {
	for name, mistake := range map[string]func(*mark){
		"later": func(m *mark) { m.seq++ },
		"none":  func(m *mark) { m.seq = 0 }, // all rows since then: that fits
	} {
		t.Run(name, func(t *testing.T) {
			s := newSim(2)
			l := s.link(0, 1)
			for round := range 5 {
				s.publish(s.nodes[0], vm(round, 0))
				s.settle()
			}
			s.publish(s.nodes[0], vm(9, 0))
			s.publish(s.nodes[0], vm(9, 1))
			mistake(&l.peers[0].holds)
			s.settle()
			if !s.agreed() || s.nodes[1].x.wants.Len() > 0 {
				t.Error("the nodes do not agree, or something is still wanted")
			}
		})
	}
}

func TestNextLifeIsAnnouncedAndNotPushed(t *testing.T) {
	s := newSim(2)
	s.link(0, 1)
	s.publish(s.nodes[0], vm(1, 0))
	s.settle()
	s.nodes[0].begin(s.nodes[0].epoch+1, 77)
	clear(s.sent)
	s.publish(s.nodes[0], vm(1, 0))
	s.settle()
	if s.sent["*wire.Announce"] != 1 || !s.agreed() {
		t.Errorf("a new epoch was told with %v", s.sent)
	}
}
