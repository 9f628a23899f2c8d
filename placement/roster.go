package placement

// seat is where a host is among the members of the classes.
type seat struct{ class, at int32 }

// closed is the class of hosts that no request fits: cordoned, not heard, with
// a silent hypervisor.
const closed = -1

// roster is the members of all classes, as their rooms, each class's ordered by
// the bucket of their free memory: all that have enough are one range, of which
// any part can be drawn from. Bounds are by bucket and then by class, since a
// choice asks one bucket of many classes.
type roster struct {
	seats []seat               // by slot
	rooms [][]room             // by seat: its class and there its place
	slots [][]int32            // by seat, whose it is
	start [buckets + 1][]int32 // rooms[c][start[k][c]:start[k+1][c]] are in bucket k
}

// grow makes room for one class more.
func (r *roster) grow() {
	r.rooms, r.slots = append(r.rooms, nil), append(r.slots, nil)
	for k := range r.start {
		r.start[k] = append(r.start[k], 0)
	}
}

func (r *roster) room(s seat) *room { return &r.rooms[s.class][s.at] }

func (r *roster) slot(s seat) int32 { return r.slots[s.class][s.at] }

// add makes a host, who is in no class, a member of this one.
func (r *roster) add(class, slot int32, m room) {
	s := seat{class, int32(len(r.rooms[class]))}
	r.rooms[class], r.slots[class] = append(r.rooms[class], m), append(r.slots[class], slot)
	r.start[buckets][class]++
	r.shift(s, buckets-1, bucketOf(m.memory), slot, m)
}

// remove ends a host's membership.
func (r *roster) remove(slot int32) {
	s := r.seats[slot]
	m := *r.room(s)
	r.shift(s, bucketOf(m.memory), buckets-1, slot, m)
	last := seat{s.class, r.start[buckets][s.class] - 1}
	r.put(r.seats[slot], r.slot(last), *r.room(last))
	r.rooms[s.class], r.slots[s.class] = r.rooms[s.class][:last.at], r.slots[s.class][:last.at]
	r.start[buckets][s.class] = last.at
	r.seats[slot].class = closed
}

// change gives a member another room.
func (r *roster) change(slot int32, m room) {
	s := r.seats[slot]
	held := r.room(s)
	from, to := bucketOf(held.memory), bucketOf(m.memory)
	if *held = m; from != to {
		r.shift(s, from, to, slot, m)
	}
}

// shift takes the member in this seat from one bucket to another. Of each
// bucket on the way one member changes its place, from one end to the other.
func (r *roster) shift(s seat, from, to, slot int32, m room) {
	for k := from; k < to; k++ {
		r.start[k+1][s.class]--
		s = r.vacate(s, seat{s.class, r.start[k+1][s.class]})
	}
	for k := from; k > to; k-- {
		s = r.vacate(s, seat{s.class, r.start[k][s.class]})
		r.start[k][s.class]++
	}
	r.put(s, slot, m)
}

// vacate moves the member in the seat next to the seat free, and returns next.
func (r *roster) vacate(free, next seat) seat {
	if next != free {
		r.put(free, r.slot(next), *r.room(next))
	}
	return next
}

// put seats a member.
func (r *roster) put(s seat, slot int32, m room) {
	r.rooms[s.class][s.at], r.slots[s.class][s.at] = m, slot
	r.seats[slot] = s
}
