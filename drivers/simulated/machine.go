package simulated

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"grapevine/drivers"
	"grapevine/fleet"
)

// machine is a virtual machine as it is kept, in memory and in the folder.
type machine struct {
	ID        fleet.InstanceID `json:"id"`
	Name      string           `json:"name"`
	Power     fleet.Power      `json:"power"`
	Resources fleet.Resources  `json:"resources"`
	Mark      *drivers.Mark    `json:"mark,omitempty"`
	Devices   []fleet.Device   `json:"devices,omitempty"`
	// Contents are what the disks hold, by name; Began are the files that any of
	// them began as, which the machine keeps whatever becomes of the images.
	Contents map[string]diskContent `json:"contents,omitempty"`
	Began    []fleet.ImageFile      `json:"began,omitempty"`

	Firmware        fleet.Firmware `json:"firmware,omitempty"`
	Guest           fleet.Guest    `json:"guest,omitzero"`
	Console         []byte         `json:"console,omitempty"`           // the last that it printed
	Forgotten       int64          `json:"console_forgotten,omitempty"` // bytes printed before that
	Boots           int            `json:"boots,omitempty"`             // since it was last powered on
	IgnoresShutdown bool           `json:"ignores_shutdown,omitempty"`
	Snapshots       []snapshot     `json:"snapshots,omitempty"`
	Current         string         `json:"current_snapshot,omitempty"`
	Ran             time.Duration  `json:"ran,omitempty"` // since it was last powered on, without the time since RunsSince
	RunsSince       time.Time      `json:"runs_since,omitzero"`

	starts int    // how often it was powered on since this process began
	line   []byte // what was typed on its console after the last line
}

// view is the machine as drivers show it, sharing nothing.
func (m *machine) view() drivers.Machine {
	v := drivers.Machine{ID: m.ID, Name: m.Name, Power: m.Power, Resources: m.Resources, Mark: m.Mark.Clone()}
	if m.Power.Awake() {
		v.Addresses = []string{address(m.ID).String()}
	}
	return v
}

// address is what a simulated guest "has": one of 198.18.0.0/15, the block
// for benchmarks that no network routes.
func address(id fleet.InstanceID) netip.Addr {
	tail := binary.BigEndian.Uint32(id[12:]) & 0x1ffff
	b := [4]byte{}
	binary.BigEndian.PutUint32(b[:], 198<<24|18<<16|tail)
	return netip.AddrFrom4(b)
}

// powerOn starts the machine.
func (m *machine) powerOn(now time.Time) {
	m.Boots = 0
	m.starts++
	m.line = nil
	m.Power = fleet.PowerRunning
	m.boot(now)
}

// boot prints what a guest prints when it comes up.
func (m *machine) boot(now time.Time) {
	m.Boots++
	name, image := m.Name, "none"
	if m.Mark != nil {
		name, image = m.Mark.Name, cmp.Or(m.Mark.Rescue.Image, m.Mark.Image)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "simulated guest: no code runs in this machine, only its state is kept\n")
	fmt.Fprintf(&b, "name   %s\n", name)
	fmt.Fprintf(&b, "image  %s\n", image)
	fmt.Fprintf(&b, "boot   %d, %s\n", m.Boots, now.UTC().Format(time.RFC3339))
	b.WriteString(prompt)
	m.print([]byte(b.String()))
}
