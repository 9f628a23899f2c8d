package simulated

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"grapevine/fleet"
)

// bootFile counts the host's starts, beside the folders.
const bootFile = "boot"

// PowerCycle takes the power from the host and gives it back: all machines are
// off, and the hypervisor is another boot of the same host.
func (h *Hypervisor) PowerCycle() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.store.save(".", bootFile, h.boot.Load()+1); err != nil {
		return fmt.Errorf("power-cycle the host: %w", err)
	}
	h.boot.Add(1)
	for _, m := range h.machines {
		if !m.Power.Awake() {
			continue
		}
		off := *m
		off.Power = fleet.PowerStopped
		if err := h.put(&off); err != nil {
			return fmt.Errorf("power-cycle the host: %w", err)
		}
	}
	return nil
}

// booted names the present boot.
func (h *Hypervisor) booted() string { return fmt.Sprintf("boot %d", h.boot.Load()+1) }

// Starts counts how often a machine was powered on since this process began.
func (h *Hypervisor) Starts(id fleet.InstanceID) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if m, ok := h.machines[id]; ok {
		return m.starts
	}
	return 0
}

func (s *store) loadBoot(h *Hypervisor) error {
	text, err := os.ReadFile(s.path(".", bootFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read boot: %w", err)
	}
	var boot int64
	if err := json.Unmarshal(text, &boot); err != nil {
		return fmt.Errorf("decode boot: %w", err)
	}
	h.boot.Store(boot)
	return nil
}
