package main

import "fmt"

// picture is a chart and where its figures come from.
type picture struct {
	file  string
	base  chart
	lines []line
}

// line is a curve to draw: name has a star where the number across stands.
type line struct {
	label, name, unit string
	// limit, if any, is the metric of the last point that says how far across
	// the curve could go on.
	limit string
}

var pictures = []picture{
	{
		file: "spread-latency.svg",
		base: chart{
			Title: "Time until 99 % of the nodes have an update",
			About: "Median over the updates; 200 bytes, 0.5 ms a hop, virtual time. Hollow: the library itself, else its queue in a model.",
			X:     axis{Label: "nodes", From: 80, To: 12_500}, Y: axis{Label: "milliseconds", From: 5, To: 2_000},
		},
		lines: []line{
			{label: "Serf's events, 3/s", name: "SpreadAlternatives/model-serf-events/nodes=*/rate=3", unit: "t99-ms"},
			{label: "memberlist, LAN, 3/s", name: "SpreadAlternatives/model-memberlist-lan/nodes=*/rate=3", unit: "t99-ms"},
			{label: "memberlist, tuned, 100/s", name: "SpreadAlternatives/model-memberlist-tuned/nodes=*/rate=100", unit: "t99-ms"},
			{label: "Grapevine, 100/s", name: "Spread/nodes=*/rate=100", unit: "t99-ms"},
			{label: "Grapevine, 1,000/s", name: "Spread/nodes=*/rate=1000", unit: "t99-ms"},
		},
	},
	{
		file: "spread-bytes.svg",
		base: chart{
			Title: "Bytes sent for each byte of an update that a node gets",
			About: "1,000 nodes. The dotted ends are the rates past which queues grow for ever; Grapevine's curve ends where measuring did.",
			X:     axis{Label: "updates a second, by all nodes together", From: 0.8, To: 1_500}, Y: axis{Label: "bytes on the wire / 200", From: 1, To: 40},
		},
		lines: []line{
			{label: "Serf's events", name: "SpreadAlternatives/model-serf-events/nodes=1000/rate=*", unit: "wire-x", limit: "max-rate"},
			{label: "memberlist, LAN", name: "SpreadAlternatives/model-memberlist-lan/nodes=1000/rate=*", unit: "wire-x", limit: "max-rate"},
			{label: "memberlist, tuned", name: "SpreadAlternatives/model-memberlist-tuned/nodes=1000/rate=*", unit: "wire-x", limit: "max-rate"},
			{label: "Grapevine", name: "Spread/nodes=1000/rate=*", unit: "wire-x"},
		},
	},
}

// libraries are single measurements that stand beside the model's.
var libraries = map[string]string{
	"SpreadAlternatives/model-serf-events/nodes=*/rate=3":        "SpreadAlternatives/serf-events/nodes=*/rate=5",
	"SpreadAlternatives/model-memberlist-lan/nodes=*/rate=3":     "SpreadAlternatives/memberlist-lan/nodes=*/rate=5",
	"SpreadAlternatives/model-memberlist-tuned/nodes=*/rate=100": "SpreadAlternatives/memberlist-tuned/nodes=*/rate=100",
}

// chart fills a picture, and says which curves there are no figures for. Every
// curve keeps its colour and sign, whichever others there are.
func (p picture) chart(r results) (chart, []string) {
	c := p.base
	var missing []string
	for i, l := range p.lines {
		curve := curve{Label: l.label, Style: i, Points: r.points(l.name, l.unit)}
		if len(curve.Points) == 0 {
			missing = append(missing, fmt.Sprintf("%s (%s)", l.label, l.name))
			continue
		}
		curve.Hollow = r.points(libraries[l.name], l.unit)
		if limits := r.points(l.name, l.limit); len(limits) > 0 {
			curve.Limit = limits[len(limits)-1].Y
			curve.Label = fmt.Sprintf("%s, to %.3g/s", l.label, curve.Limit)
		}
		c.Curves = append(c.Curves, curve)
	}
	return c, missing
}
