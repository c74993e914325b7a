//go:build race

package simulate

const fewSeeds = 1
