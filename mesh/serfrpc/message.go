package serfrpc

import (
	"net"
	"time"

	"github.com/hashicorp/serf/coordinate"
	"github.com/hashicorp/serf/serf"
)

// Version is the version of the protocol; there has been no other.
const Version = 1

// The names of all fields below are what goes over the wire.
type (
	request struct {
		Command string
		Seq     uint64
	}
	reply struct {
		Seq   uint64
		Error string
	}
	handshake struct{ Version int32 }
	auth      struct{ AuthKey string }

	event struct {
		Name     string
		Payload  []byte
		Coalesce bool
	}
	forceLeave struct {
		Node  string
		Prune bool
	}
	join struct {
		Existing []string
		Replay   bool
	}
	joined struct{ Num int32 }

	memberFilter struct {
		Tags   map[string]string
		Status string
		Name   string
	}
	members struct{ Members []member }
	member  struct {
		Name        string
		Addr        net.IP
		Port        uint16
		Tags        map[string]string
		Status      string
		ProtocolMin uint8
		ProtocolMax uint8
		ProtocolCur uint8
		DelegateMin uint8
		DelegateMax uint8
		DelegateCur uint8
	}

	key struct{ Key string }

	monitor   struct{ LogLevel string }
	logRecord struct{ Log string }
	stream    struct{ Type string }
	stop      struct{ Stop uint64 }
	tags      struct {
		Tags       map[string]string
		DeleteTags []string
	}

	query struct {
		FilterNodes []string
		FilterTags  map[string]string
		RequestAck  bool
		RelayFactor uint8
		Timeout     time.Duration
		Name        string
		Payload     []byte
	}
	queryRecord struct {
		Type    string // ack, response or done
		From    string
		Payload []byte
	}
	respond struct {
		ID      uint64
		Payload []byte
	}

	memberEvent struct {
		Event   string
		Members []member
	}
	userEvent struct {
		Event    string
		LTime    serf.LamportTime
		Name     string
		Payload  []byte
		Coalesce bool
	}
	queryEvent struct {
		Event   string
		ID      uint64
		LTime   serf.LamportTime
		Name    string
		Payload []byte
	}

	node           struct{ Node string }
	nodeCoordinate struct {
		Coord coordinate.Coordinate
		Ok    bool
	}
)

// KeyAnswer is what members answered about gossip keys. Keys counts members by
// key, in base64: the stock tool prints them.
type KeyAnswer struct {
	Messages map[string]string // what went wrong, by member
	Keys     map[string]int
	NumNodes int
	NumErr   int
	NumResp  int
}

func toMember(m *serf.Member) member {
	return member{
		Name: m.Name, Addr: m.Addr, Port: m.Port, Tags: m.Tags, Status: m.Status.String(),
		ProtocolMin: m.ProtocolMin, ProtocolMax: m.ProtocolMax, ProtocolCur: m.ProtocolCur,
		DelegateMin: m.DelegateMin, DelegateMax: m.DelegateMax, DelegateCur: m.DelegateCur,
	}
}

func toMembers(all []serf.Member) []member {
	out := make([]member, len(all))
	for i := range all {
		out[i] = toMember(&all[i])
	}
	return out
}
