package placement

import "maps"

// label is one that a host has. Labels are no part of a host's kind: they may be
// different at every host, and there would be as many classes as hosts. The
// hosts that have one are a bitmap of slots, as the holders of an image are.
type label struct{ key, value string }

// relabel keeps the hosts of labels.
func (x *Index) relabel(slot int32, before, after map[string]string) {
	if maps.Equal(before, after) {
		return
	}
	for key, value := range before {
		x.labels.remove(label{key, value}, slot)
	}
	for key, value := range after {
		x.labels.add(label{key, value}, slot)
	}
}

// labelled appends to buf the hosts with each of the labels, the fewest first; of
// equally many the first by name, so that the same request looks at the same
// hosts. It reports false where nobody has one of them.
func (x *Index) labelled(asked map[string]string, buf []*bitmap) ([]*bitmap, bool) {
	first := ""
	for key, value := range asked {
		b := x.labels[label{key, value}]
		if b == nil {
			return nil, false
		}
		buf = append(buf, b)
		last := len(buf) - 1
		if last == 0 || b.n < buf[0].n || b.n == buf[0].n && key < first {
			buf[0], buf[last] = buf[last], buf[0]
			first = key
		}
	}
	return buf, true
}
