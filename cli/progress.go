package cli

import (
	"io"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"grapevine/fleet"
)

// worthABar is how large a file must be for its progress to be drawn.
const worthABar = 4 << 20

// progress is a bar on a terminal, and nothing elsewhere.
type progress struct {
	container *mpb.Progress
	bar       *mpb.Bar
}

func (a *app) progress(name string, total int64) *progress {
	if !a.terminal || total < worthABar {
		return &progress{}
	}
	container := mpb.New(mpb.WithOutput(a.errOut), mpb.WithWidth(40))
	bar := container.AddBar(total,
		mpb.PrependDecorators(decor.Name(visible(name)+" ")),
		mpb.AppendDecorators(decor.CountersKibiByte("% .1f / % .1f"), decor.AverageSpeed(decor.SizeB1024(0), "  % .1f"), decor.AverageETA(decor.ET_STYLE_GO, decor.WC{W: 8})),
	)
	return &progress{container, bar}
}

// percentage is a bar for work of which only the hypervisor counts anything.
func (a *app) percentage(name string) *progress {
	if !a.terminal {
		return &progress{}
	}
	container := mpb.New(mpb.WithOutput(a.errOut), mpb.WithWidth(40))
	bar := container.AddBar(100,
		mpb.PrependDecorators(decor.Name(visible(name)+" ")),
		mpb.AppendDecorators(decor.Percentage(), decor.AverageETA(decor.ET_STYLE_GO, decor.WC{W: 8})),
	)
	return &progress{container, bar}
}

// bars draw an operation, one after the other: what it transfers, and what the
// hypervisor does with that.
type bars struct {
	now     *progress
	percent bool
	total   int64
}

func (b *bars) show(a *app, what string, p *fleet.Progress) {
	percent := p.Percent > 0
	if b.now == nil || b.percent != percent || b.total != p.TotalBytes {
		b.end()
		b.percent, b.total = percent, p.TotalBytes
		if percent {
			b.now = a.percentage(what + " at the host")
		} else {
			b.now = a.progress(what, p.TotalBytes)
		}
	}
	if percent {
		b.now.set(int64(p.Percent))
	} else {
		b.now.set(p.DoneBytes)
	}
}

func (b *bars) end() {
	if b.now != nil {
		b.now.end()
	}
}

// reader counts what is read through it.
func (p *progress) reader(r io.Reader) io.Reader {
	if p.bar == nil {
		return r
	}
	return p.bar.ProxyReader(r)
}

// set says how much is done.
func (p *progress) set(done int64) {
	if p.bar != nil {
		p.bar.SetCurrent(done)
	}
}

// end leaves the bar as it is and waits until it is drawn.
func (p *progress) end() {
	if p.bar == nil {
		return
	}
	p.bar.Abort(false) // no effect on one that is complete
	p.container.Wait()
}
