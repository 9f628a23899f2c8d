package api

import (
	"context"

	"grapevine/fleet"
)

// fakeWitness answers with what it is asked.
type fakeWitness struct{}

func (fakeWitness) Grant(_ context.Context, ask fleet.GrantAsk) (fleet.GrantAnswer, error) {
	return fleet.GrantAnswer{OK: true, Promised: ask.Ballot, Accepted: ask.Ballot, Grant: ask.Grant}, nil
}

func (fakeWitness) Grants(context.Context, fleet.UUID) (fleet.GrantPage, error) {
	return fleet.GrantPage{Number: 1}, nil
}

func (fakeWitness) WitnessState(context.Context) (fleet.WitnessState, error) {
	return fleet.WitnessState{Follows: 1}, nil
}

func (fakeWitness) TellWitness(_ context.Context, update fleet.WitnessUpdate) (fleet.WitnessState, error) {
	return fleet.WitnessState{Set: update.Set}, nil
}

func (fakeWitness) Witnesses(context.Context) (fleet.WitnessReport, error) {
	return fleet.WitnessReport{}, nil
}

func (fakeWitness) ChangeWitnesses(_ context.Context, change fleet.WitnessChange) (fleet.WitnessReport, error) {
	return fleet.WitnessReport{Set: fleet.WitnessSet{Number: 2}, Members: []fleet.WitnessRow{{Name: change.New}}}, nil
}
