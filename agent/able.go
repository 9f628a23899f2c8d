package agent

import (
	"errors"
	"slices"

	"grapevine/drivers"
	"grapevine/fleet"
)

// able is the driver with what only some can do, where this host declares the
// feature; otherwise the refusal, which says what the hypervisor does not do.
func able[T any](a *Agent, feature drivers.Feature, lacks string) (T, error) {
	driver, ok := a.driver.(T)
	if d := a.observer.Description(); !ok || !slices.Contains(d.Features, feature) {
		var none T
		return none, errorf(fleet.CodeUnsupported, "%s on host %s %s", d.Hypervisor, a.name(), lacks)
	}
	return driver, nil
}

// machineError says, in the words that callers outside know, why something
// could not be read of a machine of this host.
func (a *Agent) machineError(doing string, id fleet.InstanceID, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, drivers.ErrNotFound):
		return errorf(fleet.CodeNotFound, "host %s has no machine of instance %s yet, or any more", a.name(), id)
	default:
		return driverError(doing, err)
	}
}
