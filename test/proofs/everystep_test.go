package proofs

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
)

// TestProof03AgentKilledAtEveryStep kills the agent once at each point that each
// operation comes by, and looks at what came of it.
func TestProof03AgentKilledAtEveryStep(t *testing.T) {
	const seed = 3
	part := float64(long(100, 20)) / 100
	points, kills := 0, 0
	for i := range operations {
		op := &operations[i]
		t.Run(op.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, k := cutEverywhere(t, op, part, rand.New(rand.NewPCG(seed, uint64(i))))
				t.Logf("%s: %d points, %d kills", op.name, p, k)
				points, kills = points+p, kills+k
			})
		})
	}
	t.Logf("%d operations, %d points, %d kills", len(operations), points, kills)
}
