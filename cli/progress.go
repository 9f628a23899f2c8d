package cli

import (
	"io"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
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
