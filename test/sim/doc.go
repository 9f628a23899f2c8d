// Package sim tries to break the mesh: thousands of random histories of small
// fleets in virtual time, with real nodes and real frames, under loss, delay,
// cuts of one or both ways, partitions, kills, lost disks, full disks, halted
// processes, garbage, and clocks that are years off.
//
// A history is made from a seed and is the same each time. After it everything
// is healed, and what the mesh promises is checked (check.go). A seed that
// found a bug is kept in testdata/seeds.
package sim
