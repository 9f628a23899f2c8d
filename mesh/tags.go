package mesh

import (
	"net"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/serf/serf"

	"grapevine/fleet"
)

// The tags of a member, one letter each: they travel in every gossip message
// about it, and all together stay within fleet.MaxTagBytes.
const (
	tagRole     = "r" // "a" or "g"
	tagProtocol = "v" // of links
	tagPort     = "p" // of the API, where its address is that of gossip
	tagAPI      = "a" // host:port of the API, where it is another
	tagIssues   = "c" // "1": it holds a CA
	tagAlike    = "u" // a registry's hashes of its users file and settings
	tagName     = "n" // short host name, cut to what room is left
)

var roleTags = map[fleet.Role]string{fleet.RoleAgent: "a", fleet.RoleRegistry: "g"}

func (s *serfMembers) tags() map[string]string {
	tags := map[string]string{tagRole: roleTags[s.cfg.Role], tagProtocol: strconv.Itoa(Protocol)}
	if s.cfg.Issues {
		tags[tagIssues] = "1"
	}
	gossip, _, _ := net.SplitHostPort(s.advertise)
	if host, port, err := net.SplitHostPort(s.cfg.API); err == nil {
		if ip := net.ParseIP(host); host == gossip || host == "" || ip != nil && ip.IsUnspecified() {
			tags[tagPort] = port
		} else {
			tags[tagAPI] = s.cfg.API
		}
	}
	if s.alike != (fleet.Alike{}) {
		tags[tagAlike] = s.alike.UsersFile + "." + s.alike.Settings
		if tagBytes(tags) > fleet.MaxTagBytes { // a long address that is not that of gossip
			delete(tags, tagAlike)
		}
	}
	if room := fleet.MaxTagBytes - tagBytes(tags) - tagBytes(map[string]string{tagName: ""}); room > 0 && s.cfg.Name != "" {
		tags[tagName] = cutRunes(s.cfg.Name, room)
	}
	return tags
}

// tagBytes is what Serf's encoding takes for tags: a byte for the version and
// one for the map, and for each key and value its bytes and a length.
func tagBytes(tags map[string]string) int {
	n := 2
	for k, v := range tags {
		n += 2 + len(k) + len(v)
		if len(v) > 31 {
			n++
		}
	}
	return n
}

func cutRunes(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// memberOf reads a member; it reports false for what is none of Grapevine's.
func memberOf(m *serf.Member) (fleet.Member, bool) {
	id, err := fleet.ParseUUID(m.Name)
	if err != nil {
		return fleet.Member{}, false
	}
	out := fleet.Member{
		ID: id, Name: m.Tags[tagName], Role: fleet.RoleAgent, Status: statusOf(m.Status),
		Gossip: net.JoinHostPort(m.Addr.String(), strconv.Itoa(int(m.Port))), API: m.Tags[tagAPI],
	}
	out.Issues = m.Tags[tagIssues] != ""
	if m.Tags[tagRole] == roleTags[fleet.RoleRegistry] {
		out.Role = fleet.RoleRegistry
		out.UsersFile, out.Settings, _ = strings.Cut(m.Tags[tagAlike], ".")
	}
	if port := m.Tags[tagPort]; port != "" {
		out.API = net.JoinHostPort(m.Addr.String(), port)
	}
	out.Protocol, _ = strconv.Atoi(m.Tags[tagProtocol])
	return out, true
}

func statusOf(s serf.MemberStatus) fleet.MemberStatus {
	switch s {
	case serf.StatusAlive:
		return fleet.MemberAlive
	case serf.StatusLeaving:
		return fleet.MemberLeaving
	case serf.StatusLeft:
		return fleet.MemberLeft
	default:
		return fleet.MemberFailed
	}
}
