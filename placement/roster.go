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
	seats   []seat               // by slot
	members [][]room             // by class
	start   [buckets + 1][]int32 // members[c][start[k][c]:start[k+1][c]] are in bucket k
}

// grow makes room for one class more.
func (r *roster) grow() {
	r.members = append(r.members, nil)
	for k := range r.start {
		r.start[k] = append(r.start[k], 0)
	}
}

// room returns the room of a host that is a member of a class.
func (r *roster) room(slot int32) *room {
	s := r.seats[slot]
	return &r.members[s.class][s.at]
}

// add makes a host, who is in no class, a member of this one.
func (r *roster) add(class int32, m room) {
	at := int32(len(r.members[class]))
	r.members[class] = append(r.members[class], m)
	r.start[buckets][class] = at + 1
	r.seats[m.slot].class = class
	r.shift(class, at, buckets-1, bucketOf(m.memory), m)
}

// remove ends a host's membership.
func (r *roster) remove(slot int32) {
	s, m := r.seats[slot], *r.room(slot)
	r.shift(s.class, s.at, bucketOf(m.memory), buckets-1, m)
	last := int32(len(r.members[s.class]) - 1)
	r.put(s.class, r.seats[slot].at, r.members[s.class][last])
	r.members[s.class] = r.members[s.class][:last]
	r.start[buckets][s.class] = last
	r.seats[slot].class = closed
}

// change gives a member another room.
func (r *roster) change(m room) {
	s, held := r.seats[m.slot], r.room(m.slot)
	from, to := bucketOf(held.memory), bucketOf(m.memory)
	if *held = m; from != to {
		r.shift(s.class, s.at, from, to, m)
	}
}

// shift takes the member at this place from one bucket to another. Of each
// bucket on the way one member changes its place, from one end to the other.
func (r *roster) shift(class, at, from, to int32, m room) {
	members := r.members[class]
	for k := from; k < to; k++ {
		r.start[k+1][class]--
		if last := r.start[k+1][class]; last != at {
			r.put(class, at, members[last])
			at = last
		}
	}
	for k := from; k > to; k-- {
		if first := r.start[k][class]; first != at {
			r.put(class, at, members[first])
			at = first
		}
		r.start[k][class]++
	}
	r.put(class, at, m)
}

func (r *roster) put(class, at int32, m room) {
	r.members[class][at] = m
	r.seats[m.slot].at = at
}
