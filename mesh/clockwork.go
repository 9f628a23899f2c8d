package mesh

import (
	"context"
	"time"
)

// beatEvery is how often a host that has nothing new gives a sign of life.
const beatEvery = 30 * time.Second

// keepTime does what is due at moments: wants that were not answered, beats,
// and announcements that the budget held back.
func (m *Mesh) keepTime(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	beat := time.Now().Add(jitter(beatEvery))
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.timer:
		case <-timer.C:
		}
		now := time.Now()
		m.mu.Lock()
		next := m.exchange.Expire(now)
		if !now.Before(m.budget.next) {
			m.announceSelfLocked(now)
		}
		if m.budget.owed && m.budget.next.Before(next) {
			next = m.budget.next
		}
		if !now.Before(beat) {
			beat = now.Add(beatEvery)
			m.exchange.Beat(now)
			m.exchange.AnnounceSelf()
		}
		m.mu.Unlock()
		if beat.Before(next) {
			next = beat
		}
		timer.Reset(max(time.Until(next), time.Millisecond))
	}
}
