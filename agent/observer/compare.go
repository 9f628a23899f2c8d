package observer

import (
	"maps"
	"reflect"
	"slices"

	"grapevine/drivers"
)

func sameMachine(a, b drivers.Machine) bool {
	return a.ID == b.ID && a.Name == b.Name && a.Power == b.Power && a.Resources == b.Resources &&
		slices.Equal(a.Addresses, b.Addresses) && sameMark(a.Mark, b.Mark)
}

func sameMark(a, b *drivers.Mark) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := *a, *b
	sameLabels := maps.Equal(x.Labels, y.Labels)
	sameTime := x.CreatedAt.Equal(y.CreatedAt)
	x.Labels, y.Labels = nil, nil
	x.CreatedAt = y.CreatedAt
	return sameLabels && sameTime && reflect.DeepEqual(x, y)
}
