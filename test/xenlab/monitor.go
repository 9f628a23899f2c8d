package xenlab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
)

// monitor speaks QMP with the QEMU of a host, one command at a time.
type monitor struct {
	conn net.Conn
	dec  *json.Decoder
	enc  *json.Encoder
}

func newMonitor(conn net.Conn) *monitor {
	return &monitor{conn: conn, dec: json.NewDecoder(conn), enc: json.NewEncoder(conn)}
}

// message is whatever QEMU says: a greeting, an answer, or an event.
type message struct {
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Desc string `json:"desc"`
	} `json:"error"`
	Event string `json:"event"`
	Data  struct {
		Status string `json:"status"`
	} `json:"data"`
}

type arguments map[string]any

// resume lets the machine go on from the memory that it inherited.
func (m *monitor) resume(ctx context.Context) error {
	defer m.until(ctx)()
	for _, c := range []struct {
		name string
		args arguments
	}{
		{"qmp_capabilities", nil},
		{"migrate-set-capabilities", arguments{"capabilities": []arguments{{"capability": "events", "state": true}}}},
		{"migrate-incoming", arguments{"uri": fmt.Sprintf("fd:%d", memoryFD)}},
	} {
		if _, err := m.do(c.name, c.args); err != nil {
			return errors.Join(ctx.Err(), err)
		}
	}
	if err := m.loaded(); err != nil {
		return errors.Join(ctx.Err(), err)
	}
	_, err := m.do("cont", nil) // it was saved standing still
	return errors.Join(ctx.Err(), err)
}

// loaded waits for the event that all memory is there.
func (m *monitor) loaded() error {
	for {
		got, err := m.read()
		if err != nil {
			return err
		}
		switch {
		case got.Event != "MIGRATION":
		case got.Data.Status == "completed":
			return nil
		case got.Data.Status == "failed":
			return errors.New("load the saved memory: QEMU refuses it; its log tells why")
		}
	}
}

var forward = regexp.MustCompile(`HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+\S+\s+(\d+)\s`)

// ports asks which port of loopback leads to which one of dom0.
func (m *monitor) ports(ctx context.Context) (map[int]int, error) {
	defer m.until(ctx)()
	answer, err := m.do("human-monitor-command", arguments{"command-line": "info usernet"})
	if err != nil {
		return nil, errors.Join(ctx.Err(), err)
	}
	var text string
	if err := json.Unmarshal(answer, &text); err != nil {
		return nil, fmt.Errorf("read QEMU's ports: %w", err)
	}
	return parsePorts(text)
}

func parsePorts(text string) (map[int]int, error) {
	ports := map[int]int{}
	for _, line := range forward.FindAllStringSubmatch(text, -1) {
		from, _ := strconv.Atoi(line[1])
		to, _ := strconv.Atoi(line[2])
		ports[to] = from
	}
	if ports[22] == 0 || ports[16509] == 0 {
		return nil, fmt.Errorf("read QEMU's ports: no SSH or no libvirt among %q", text)
	}
	return ports, nil
}

// until hangs up when the context ends first, so that nothing waits for ever.
func (m *monitor) until(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = m.conn.Close() })
}

// do runs a command; events that come before its answer are of no interest.
func (m *monitor) do(command string, args arguments) (json.RawMessage, error) {
	request := arguments{"execute": command}
	if args != nil {
		request["arguments"] = args
	}
	if err := m.enc.Encode(request); err != nil {
		return nil, fmt.Errorf("tell QEMU to %s: %w", command, err)
	}
	for {
		got, err := m.read()
		if err != nil {
			return nil, fmt.Errorf("wait for QEMU to %s: %w", command, err)
		}
		switch {
		case got.Error != nil:
			return nil, fmt.Errorf("%s: QEMU says: %s", command, got.Error.Desc)
		case got.Return != nil:
			return got.Return, nil
		}
	}
}

func (m *monitor) read() (message, error) {
	var got message
	if err := m.dec.Decode(&got); err != nil {
		return message{}, fmt.Errorf("read from QEMU: %w", err)
	}
	return got, nil
}
