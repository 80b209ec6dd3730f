//go:build !race

package idempotency_test

const raceOn = false
