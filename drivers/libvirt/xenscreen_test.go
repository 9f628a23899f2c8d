package libvirt

import (
	"errors"
	"testing"

	"grapevine/drivers"
)

func TestScreenIsFoundWhereItListens(t *testing.T) {
	domain := func(id, inside string) string {
		return `<domain type="xen"` + id + `><devices>` + inside + `</devices></domain>`
	}
	const running = ` id="3"`
	for name, c := range map[string]struct {
		text, want string
		err        error
	}{
		"ours":              {domain(running, `<graphics type="vnc" port="5901" autoport="yes" listen="127.0.0.1"/>`), "127.0.0.1:5901", nil},
		"that of all":       {domain(running, `<graphics type="vnc" port="5900" listen="0.0.0.0"/>`), "127.0.0.1:5900", nil},
		"that of nowhere":   {domain(running, `<graphics type="vnc" port="5900"/>`), "127.0.0.1:5900", nil},
		"after another's":   {domain(running, `<graphics type="sdl"/><graphics type="vnc" port="5902" listen="::1"/>`), "[::1]:5902", nil},
		"none":              {domain(running, ``), "", drivers.ErrUnsupported},
		"of a stopped one":  {domain(``, `<graphics type="vnc" port="-1" autoport="yes" listen="127.0.0.1"/>`), "", drivers.ErrNotRunning},
		"without its port":  {domain(running, `<graphics type="vnc" port="-1" autoport="yes"/>`), "", drivers.ErrUnsupported},
		"of another system": {domain(running, `<graphics type="spice" port="5900"/>`), "", drivers.ErrUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			at, err := parseScreen(c.text)
			if !errors.Is(err, c.err) {
				t.Fatalf("got %v, want %v", err, c.err)
			}
			if err == nil && at.address() != c.want {
				t.Errorf("it listens at %s, want %s", at.address(), c.want)
			}
		})
	}
}
