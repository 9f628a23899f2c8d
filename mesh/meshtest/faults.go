package meshtest

import "grapevine/mesh/node"

// Kill ends a member's life at once. Where its machine lives on, its peers see
// their streams closed; otherwise they see nothing at all.
func (f *Fleet) Kill(m *Member, machineLives bool) {
	m.Up, m.frozen, m.thaw = false, false, nil
	m.life++
	for link, e := range m.ends {
		e.open = false
		delete(m.ends, link)
	}
	// In the order of nodes, for the map has none.
	for _, o := range f.Nodes {
		for _, l := range f.linksTo(o, m) {
			if machineLives {
				closing(o.ends[l].other)
			}
			o.ends[l].other.open = false
		}
	}
}

// linksTo returns o's links with m in a fixed order.
func (f *Fleet) linksTo(o, m *Member) []*node.Link {
	var links []*node.Link
	if !o.Up || o == m {
		return nil
	}
	for _, s := range o.Node.Links(o.now()) {
		if e := o.ends[s.Of]; e != nil && e.other.member == m {
			links = append(links, s.Of)
		}
	}
	return links
}

// Freeze stops a member as a halted process is: what comes waits.
func (f *Fleet) Freeze(m *Member) { m.frozen = m.Up }

// Thaw lets a frozen member go on.
func (f *Fleet) Thaw(m *Member) {
	m.frozen = false
	waiting := m.thaw
	m.thaw = nil
	for _, do := range waiting {
		do()
	}
	m.settle()
}

// WipeDisk makes a member that is down forget its epoch.
func (f *Fleet) WipeDisk(m *Member) { m.epoch = 0 }

// Cut stops what one member writes to another; Restore lets it through again.
// Streams that lost something stay stalled.
func (f *Fleet) Cut(from, to *Member) { f.cut[[2]int{from.Index, to.Index}] = true }

// IsCut reports whether what one member writes to another is stopped.
func (f *Fleet) IsCut(from, to *Member) bool { return f.cut[[2]int{from.Index, to.Index}] }

// Restore ends all cuts.
func (f *Fleet) Restore() { clear(f.cut) }

// SetLoss changes the share of writes that are lost.
func (f *Fleet) SetLoss(streams float64) { f.opts.StreamLoss = streams }
