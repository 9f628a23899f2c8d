package fleet

import (
	"net"
	"strings"
	"testing"
)

func TestMACAddressIsStableAndLocal(t *testing.T) {
	id := NewUUIDv5(UUID{1}, "a")
	seen := map[string]bool{}
	for n := range MaxNICs {
		mac := MACAddress(id, n)
		if mac != MACAddress(id, n) {
			t.Errorf("card %d has two addresses", n)
		}
		if parsed, err := net.ParseMAC(mac); err != nil || parsed[0] != 2 {
			t.Errorf("card %d: %s is not a locally administered address: %v", n, mac, err)
		}
		seen[mac] = true
	}
	if len(seen) != MaxNICs {
		t.Errorf("%d addresses for %d cards", len(seen), MaxNICs)
	}
}

func TestCardsAreJudged(t *testing.T) {
	for name, c := range map[string]struct {
		nics []NIC
		want string
	}{
		"none asked":      {nil, ""},
		"two":             {[]NIC{{Network: "br0", VLAN: 12}, {Network: "VM Network", MAC: "02:00:00:ab:cd:ef"}}, ""},
		"no card":         {[]NIC{{Network: NoNetwork}}, ""},
		"no card and one": {[]NIC{{Network: NoNetwork}, {Network: "br0"}}, "alone"},
		"no name":         {[]NIC{{}}, "network is empty"},
		"VLAN 4095":       {[]NIC{{Network: "br0", VLAN: 4095}}, "VLAN 4095"},
		"group address":   {[]NIC{{Network: "br0", MAC: "01:00:5e:00:00:01"}}, "groups"},
		"bridge's own":    {[]NIC{{Network: "br0", MAC: "fe:00:00:00:00:01"}}, "bridges"},
		"upper case":      {[]NIC{{Network: "br0", MAC: "02:00:00:AB:CD:EF"}}, "lower case"},
		"one twice":       {[]NIC{{Network: "a", MAC: "02:00:00:00:00:01"}, {Network: "b", MAC: "02:00:00:00:00:01"}}, "of another"},
		"too many":        {make([]NIC, MaxNICs+1), "at most"},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckNICs(c.nics)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestCardsHaveAddressesAndADefault(t *testing.T) {
	id := NewUUIDv5(UUID{1}, "b")
	if cards := Cards(id, nil); len(cards) != 1 || cards[0] != (NIC{MAC: MACAddress(id, 0)}) {
		t.Errorf("nothing asked: %+v, want one card on the default network", cards)
	}
	if cards := Cards(id, []NIC{{Network: NoNetwork}}); len(cards) != 0 {
		t.Errorf("no card asked: %+v", cards)
	}
	asked := []NIC{{Network: "a", MAC: "02:00:00:00:00:01"}, {Network: "b", VLAN: 3}}
	cards := Cards(id, asked)
	if cards[0] != asked[0] || cards[1] != (NIC{Network: "b", VLAN: 3, MAC: MACAddress(id, 1)}) {
		t.Errorf("two asked: %+v", cards)
	}
	if asked[1].MAC != "" {
		t.Error("what was asked for was changed")
	}
}
