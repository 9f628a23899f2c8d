package cli

import (
	"fmt"
	"io"
	"time"

	"grapevine/fleet"
)

func membersTable(members fleet.List[fleet.Member]) written {
	t := &table{columns: []column{
		{title: "NAME"},
		{title: "ID"},
		{title: "ROLE"},
		{title: "STATUS"},
		{title: "SINCE", right: true},
		{title: "GOSSIP"},
		{title: "API"},
		{title: "PROTOCOL", right: true},
	}}
	ids := make([]string, len(members.Items))
	for i, m := range members.Items {
		ids[i] = m.ID.String()
	}
	length := shortest(ids)
	for i, m := range members.Items {
		t.add(text(m.Name), cell{shorten(ids[i], length), faint}, text(string(m.Role)), memberStatus(m.Status), text(ageMS(m.SinceMS)),
			text(m.Gossip), text(m.API), number(int64(m.Protocol)))
	}
	return t
}

func memberStatus(s fleet.MemberStatus) cell {
	switch s {
	case fleet.MemberAlive:
		return cell{string(s), good}
	case fleet.MemberFailed:
		return cell{string(s), bad}
	case fleet.MemberLeaving, fleet.MemberLeft:
	}
	return cell{string(s), uneasy}
}

func linksTable(links fleet.List[fleet.Link]) written {
	t := &table{columns: []column{
		{title: "PEER"},
		{title: "ID"},
		{title: "DIRECTION"},
		{title: "UP", right: true},
		{title: "RTT", right: true},
		{title: "SENT", right: true},
		{title: "RECEIVED", right: true},
		{title: "ANNOUNCED", right: true},
		{title: "WANTED", right: true},
		{title: "REDUNDANT", right: true},
		{title: "DIRTY", right: true},
	}}
	for _, l := range links.Items {
		direction := "in"
		if l.Outbound {
			direction = "out"
		}
		t.add(text(l.PeerName), cell{shorten(l.Peer.String(), 8), faint}, text(direction), text(ageMS(l.UpMS)), text(rtt(&l)),
			text(byteSize(int64(l.SentBytes))), text(byteSize(int64(l.ReceivedBytes))),
			text(fmt.Sprint(l.Announced)), text(fmt.Sprint(l.Wanted)), text(fmt.Sprint(l.Redundant)), number(int64(l.Dirty)))
	}
	return t
}

// rtt is how long the peer takes to answer; only who dialled asks.
func rtt(l *fleet.Link) string {
	if !l.Outbound {
		return "-"
	}
	return fmt.Sprintf("%.1fms", l.RTTMS)
}

// headed is a table under a few lines that sum it up.
type headed struct {
	head []string
	rows *table
}

func (h headed) write(w io.Writer, colour bool) error {
	for _, said := range h.head {
		if err := line(said).write(w, colour); err != nil {
			return err
		}
	}
	return h.rows.write(w, colour)
}

func digestTable(d fleet.Digest) written {
	t := &table{columns: []column{
		{title: "HOST"},
		{title: "ID"},
		{title: "EPOCH", right: true},
		{title: "SEQ", right: true},
		{title: "ROWS", right: true},
		{title: "SIZE", right: true},
		{title: "HASH"},
		{title: "INCARNATION"},
	}}
	for _, r := range d.Rows {
		t.add(text(r.HostName), cell{shorten(r.Host.String(), 8), faint}, text(fmt.Sprint(r.Version.Epoch)), text(fmt.Sprint(r.Version.Seq)),
			number(int64(r.Rows)), text(byteSize(int64(r.Bytes))), text(r.Hash), text(r.Incarnation))
	}
	return headed{[]string{fmt.Sprintf("root %s over %s", d.Root, plural(len(d.Rows), "host"))}, t}
}

func lagTable(lag fleet.Lag) written {
	t := &table{columns: []column{
		{title: "HOST"}, {title: "ID"}, {title: "REACH"}, {title: "AGE", right: true}, {title: "HELD", right: true}, {title: "WANTED", right: true, sparse: true},
	}}
	for _, r := range lag.Rows {
		t.add(text(r.HostName), cell{shorten(r.Host.String(), 8), faint}, reach(r.Reachability, nil, time.Time{}), text(fineAge(r.AgeMS)),
			text(version(r.Version)), text(version(r.Wanted)))
	}
	head := []string{agesLine("heard", lag.Heard)}
	if lag.Known.Hosts != lag.Heard.Hosts {
		head = append(head, agesLine("known", lag.Known))
	}
	if lag.Behind > 0 {
		head = append(head, fmt.Sprintf("newer versions of %s were announced and are not held yet", plural(lag.Behind, "host")))
	}
	return headed{head, t}
}

func agesLine(which string, a fleet.Ages) string {
	return fmt.Sprintf("%s %s: age p50 %s, p99 %s, max %s", plural(a.Hosts, "host"), which, fineAge(a.P50MS), fineAge(a.P99MS), fineAge(a.MaxMS))
}

// fineAge writes an age with a tenth of a second below two minutes: lag is
// about such differences.
func fineAge(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	if d < time.Second || d >= 2*time.Minute {
		return age(d)
	}
	return fmt.Sprintf("%.1fs", d.Truncate(100*time.Millisecond).Seconds())
}

// version writes epoch:seq; the host stands beside it.
func version(v fleet.Version) string {
	if v.IsZero() {
		return ""
	}
	return fmt.Sprintf("%d:%d", v.Epoch, v.Seq)
}
