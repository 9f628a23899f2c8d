package observer

import (
	"context"
	"errors"
	"reflect"
	"time"

	"grapevine/drivers"
)

// Relist takes a full listing now, with the host's description and images if
// they are asked for. Once the host has been described, that it cannot be
// described again (its storage is broken, say) keeps no machine from view.
func (o *Observer) Relist(ctx context.Context, describe bool) error {
	var undescribed error
	if describe {
		undescribed = o.describe(ctx)
		o.tell(ctx, undescribed)
		if undescribed != nil && (errors.Is(undescribed, drivers.ErrUnavailable) || !o.described()) {
			return o.unlisted(ctx, undescribed)
		}
	}
	ticket := o.draw()
	machines, err := o.cfg.Driver.List(ctx)
	if err != nil {
		return o.unlisted(ctx, err)
	}
	o.change(func(c *canvas) bool {
		o.blind = 0
		if !c.Complete {
			close(o.complete)
		}
		changed := c.listed(ticket, machines, time.Now())
		changed = changed || c.Fault != ""
		c.Fault, c.FaultSince = "", time.Time{}
		return changed
	})
	return undescribed
}

// blindAfter is how many listings in a row may fail, of a hypervisor that does
// answer, before what was last seen is marked as such.
const blindAfter = 2

// unlisted takes in that a listing failed, and returns err. A hypervisor that
// answers with nothing but errors is one that cannot be seen either.
func (o *Observer) unlisted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	o.mu.Lock()
	o.blind++
	blind := o.blind >= blindAfter
	o.mu.Unlock()
	if blind {
		o.fault(err)
	}
	return o.lost(err)
}

func (o *Observer) described() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.canvas.Description.Hypervisor != ""
}

// tell says in the log, once, why the host cannot be described.
func (o *Observer) tell(ctx context.Context, err error) {
	words := ""
	if err != nil && ctx.Err() == nil && !errors.Is(err, drivers.ErrUnavailable) {
		words = err.Error()
	}
	o.mu.Lock()
	changed := words != o.unsaid
	o.unsaid = words
	o.mu.Unlock()
	if changed && words != "" {
		o.cfg.Log.Warn("host cannot be described; its capacity and images stay as last seen", "error", err)
	}
}

func (o *Observer) describe(ctx context.Context) error {
	d, err := o.cfg.Driver.Describe(ctx)
	if err != nil {
		return err
	}
	o.change(func(c *canvas) bool {
		changed := !reflect.DeepEqual(c.Description, d)
		c.Description = d
		return changed
	})
	return o.LookImages(ctx)
}
