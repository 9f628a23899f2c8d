package agent

import (
	"context"

	"grapevine/drivers"
	"grapevine/fleet"
)

// Hardware returns what this host is made of, as the hypervisor tells it now.
func (l *local) Hardware(ctx context.Context, _ fleet.HostID) (fleet.Hardware, error) {
	surveyor, ok := l.driver.(drivers.Surveyor)
	if !ok {
		return fleet.Hardware{}, errorf(fleet.CodeUnsupported, "host %s does not tell what it is made of", l.cfg.Name)
	}
	hw, err := surveyor.Survey(ctx)
	if err != nil {
		return hw, driverError("survey host", err)
	}
	hw.Host = l.hostID
	return hw, nil
}
