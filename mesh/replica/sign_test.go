package replica

import (
	"testing"

	"grapevine/mesh/wire"
)

func TestSignsOfAWholeBlockAreThoseOfItsRows(t *testing.T) {
	for host := range 20 {
		b := benchBlock(t, host)
		d, _ := b.Since(Head{})
		whole, err := merge(nil, d, elsewhere())
		if err != nil {
			t.Fatal(err)
		}
		p := &whole.rows
		for i := p.instances.from; i < p.instances.to; i++ {
			if want, ok := wire.SignOf(p.row(i).Body, p); !ok || p.sign(i) != want {
				t.Fatalf("host %d, row %d: sign %x, alone it is %x", host, i, p.sign(i), want)
			}
		}
	}
}
