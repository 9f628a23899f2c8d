package api

import (
	"grapevine/fleet"
)

// Lists and maps are rendered as [] and {}, never as null: a client in any
// language may loop over them without looking first.

func presentHost(h fleet.Host) fleet.Host {
	if h.Labels == nil {
		h.Labels = map[string]string{}
	}
	h.Traits, h.Images, h.Networks = list(h.Traits), list(h.Images), list(h.Networks)
	return h
}

func presentInstance(i fleet.Instance) fleet.Instance {
	i.Addresses = list(i.Addresses)
	if i.Labels == nil {
		i.Labels = map[string]string{}
	}
	return i
}

func presentImage(im fleet.Image) fleet.Image {
	im.Files = list(im.Files)
	return im
}

func presentExplanation(e fleet.Explanation) fleet.Explanation {
	e.Verdicts = list(e.Verdicts)
	return e
}

// presentList copies the page: the core may share its rows with others.
func presentList[T any](l fleet.List[T], present func(T) T) fleet.List[T] {
	items := make([]T, len(l.Items))
	for i, item := range l.Items {
		items[i] = present(item)
	}
	l.Items = items
	return l
}

// asIs presents rows that hold no lists.
func asIs[T any](row T) T { return row }

func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}
