package simulated

import (
	"encoding/binary"
	"io"

	"grapevine/fleet"
)

// The screen of a simulated machine: small, and all of one colour.
const (
	screenWidth  = 64
	screenHeight = 48
	screenName   = "simulated guest"
	// screenQueue bounds what waits to be read: what is asked for beyond it is
	// not drawn, as RFB allows.
	screenQueue = 64 << 10
)

// screenColour is red, green and blue of 255.
var screenColour = [3]uint32{0x33, 0x66, 0x99}

// Of RFB 3.8, RFC 6143, what a screen on which nothing moves needs.
const (
	rfbVersion      = "RFB 003.008\n"
	rfbNone         = 1 // security type: no password
	rfbSetFormat    = 0 // messages of the client
	rfbSetEncodings = 2
	rfbUpdate       = 3
	rfbKey          = 4
	rfbPointer      = 5
	rfbCutText      = 6
)

// pixels is RFB's PIXEL_FORMAT: bits, depth, big-endian, true colour, three
// maxima, three shifts, padding.
type pixels [16]byte

// ownPixels are 32 bits, little-endian, red at 16, green at 8, blue at 0.
var ownPixels = pixels{32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0}

// paint is one pixel of the screen's colour.
func (f pixels) paint() []byte {
	var value uint32
	for i, part := range screenColour {
		most := uint32(binary.BigEndian.Uint16(f[4+2*i:]))
		value |= part * most / 255 << (f[10+i] & 31)
	}
	if f[2] != 0 {
		return binary.BigEndian.AppendUint32(nil, value)[4-f.bytes():]
	}
	return binary.LittleEndian.AppendUint32(nil, value)[:f.bytes()]
}

func (f pixels) bytes() int { return min(max(int(f[0])/8, 1), 4) }

// screen is the VNC console of a machine: a server of RFB that answers what is
// written to it. It ignores keys and mouse. All is guarded by Hypervisor.mu.
type screen struct {
	*seat
	in   []byte                     // written, and not understood yet
	out  []byte                     // to be read
	turn func(in []byte) (took int) // takes the next message; 0 to wait for more, -1 for one that is none
	look pixels
}

// hasScreens: libxl does not hand them out.
func (h *Hypervisor) hasScreens() bool { return h.config.Hypervisor != fleet.Xen }

func newScreen(s *seat) *screen {
	v := &screen{seat: s, out: []byte(rfbVersion), look: ownPixels}
	v.turn = v.version
	return v
}

// Read implements io.Reader.
func (v *screen) Read(p []byte) (int, error) {
	for {
		n, more, err := v.take(p)
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
		if err := v.wait(more); err != nil {
			return 0, err
		}
	}
}

func (v *screen) take(p []byte) (int, <-chan struct{}, error) {
	v.h.mu.Lock()
	defer v.h.mu.Unlock()
	if _, err := v.machine(); err != nil {
		return 0, nil, err
	}
	n := copy(p, v.out)
	v.out = v.out[n:]
	return n, v.h.stirred, nil
}

// Write implements io.Writer.
func (v *screen) Write(p []byte) (int, error) {
	v.h.mu.Lock()
	defer v.h.mu.Unlock()
	if _, err := v.machine(); err != nil {
		return 0, io.ErrClosedPipe
	}
	v.in = append(v.in, p...)
	for len(v.in) > 0 {
		took := v.turn(v.in)
		if took < 0 {
			v.leave()
			return 0, io.ErrClosedPipe
		}
		if took == 0 {
			break
		}
		v.in = v.in[took:]
	}
	v.h.stir()
	return len(p), nil
}

func (v *screen) version(in []byte) int {
	if len(in) < len(rfbVersion) {
		return 0
	}
	if string(in[:len(rfbVersion)]) != rfbVersion {
		return -1
	}
	v.out = append(v.out, 1, rfbNone)
	v.turn = v.security
	return len(rfbVersion)
}

func (v *screen) security(in []byte) int {
	if in[0] != rfbNone {
		return -1
	}
	v.out = append(v.out, 0, 0, 0, 0) // it is well
	v.turn = v.hello
	return 1
}

// hello answers ClientInit, which says whether others may watch too.
func (v *screen) hello([]byte) int {
	v.out = binary.BigEndian.AppendUint16(v.out, screenWidth)
	v.out = binary.BigEndian.AppendUint16(v.out, screenHeight)
	v.out = append(v.out, ownPixels[:]...)
	v.out = binary.BigEndian.AppendUint32(v.out, uint32(len(screenName)))
	v.out = append(v.out, screenName...)
	v.turn = v.message
	return 1
}

// message takes one message of a client that has been let in.
func (v *screen) message(in []byte) int {
	length := 0
	switch in[0] {
	case rfbSetFormat:
		length = 20
	case rfbSetEncodings:
		length = 4
		if len(in) >= 4 {
			length += 4 * int(binary.BigEndian.Uint16(in[2:]))
		}
	case rfbUpdate:
		length = 10
	case rfbKey:
		length = 8
	case rfbPointer:
		length = 6
	case rfbCutText:
		length = 8
		if len(in) >= 8 {
			length += int(min(binary.BigEndian.Uint32(in[4:]), screenQueue))
		}
	default:
		return -1
	}
	if len(in) < length {
		return 0
	}
	switch {
	case in[0] == rfbSetFormat:
		copy(v.look[:], in[4:])
	case in[0] == rfbUpdate && in[1] == 0 && len(v.out) < screenQueue: // nothing ever changes
		v.draw()
	}
	return length
}

// draw sends the whole screen as one raw rectangle.
func (v *screen) draw() {
	v.out = append(v.out, 0, 0, 0, 1, 0, 0, 0, 0)
	v.out = binary.BigEndian.AppendUint16(v.out, screenWidth)
	v.out = binary.BigEndian.AppendUint16(v.out, screenHeight)
	v.out = append(v.out, 0, 0, 0, 0)
	pixel := v.look.paint()
	for range screenWidth * screenHeight {
		v.out = append(v.out, pixel...)
	}
}
