package exchange

// news is what a node has to tell its peers: a log in which each host stands
// at most once, at the place of its last change. Peers read it at their own
// pace, each with a cursor: a slow one is told less often, and then the newest,
// and nobody keeps a queue for it.
type news struct {
	log    []*host // nil where the host has moved further down
	first  uint64  // the position of log[0]; positions begin with 1
	voids  int
	place  func(*host) *place
	cursor func(*Peer) *uint64 // the next position to read
}

// place is where a host stands in the news, 0 for nowhere, and which peers need
// not be told.
type place struct {
	position uint64
	known    slots
}

// slots is a set of peers.
type slots uint64

// maxPeers bounds the links of a node.
const maxPeers = 64

func newNews(place func(*host) *place, cursor func(*Peer) *uint64) news {
	return news{first: 1, place: place, cursor: cursor}
}

func (n *news) end() uint64 { return n.first + uint64(len(n.log)) } // not negative

// put moves h to the end of the news, for all peers but those in known.
func (e *Exchange) put(n *news, h *host, known slots) {
	at := n.place(h)
	if at.position >= n.first && n.log[at.position-n.first] == h {
		n.log[at.position-n.first] = nil
		n.voids++
	}
	at.position, at.known = n.end(), known
	n.log = append(n.log, h)
	if n.voids > len(n.log)/2+64 {
		e.compact(n)
	}
}

// compact drops the empty places, so that the log stays in proportion to the
// hosts in it.
func (e *Exchange) compact(n *news) {
	for _, p := range e.peers {
		cursor, live := n.cursor(p), n.first
		for i, h := range n.log {
			if h != nil && n.first+uint64(i) < *cursor { // not negative
				live++
			}
		}
		*cursor = live
	}
	live := n.log[:0]
	for _, h := range n.log {
		if h != nil {
			n.place(h).position = n.first + uint64(len(live)) // not negative
			live = append(live, h)
		}
	}
	clear(n.log[len(live):])
	n.log, n.voids = live, 0
}

// read calls f with at most most hosts that are news to p.
func (e *Exchange) read(n *news, p *Peer, most int, f func(*host)) {
	cursor := n.cursor(p)
	for told := 0; *cursor < n.end() && told < most; *cursor++ {
		if h := n.log[*cursor-n.first]; h != nil && n.place(h).known&p.slot == 0 {
			f(h)
			told++
		}
	}
	e.trim(n)
}

// trim empties the log once every peer has read it.
func (e *Exchange) trim(n *news) {
	for _, p := range e.peers {
		if *n.cursor(p) < n.end() {
			return
		}
	}
	n.first, n.voids = n.end(), 0
	clear(n.log)
	n.log = n.log[:0]
}

// pending counts the news that p has to read.
func (n *news) pending(p *Peer) int {
	waiting := 0
	for i := *n.cursor(p) - n.first; i < uint64(len(n.log)); i++ { // not negative
		if h := n.log[i]; h != nil && n.place(h).known&p.slot == 0 {
			waiting++
		}
	}
	return waiting
}
