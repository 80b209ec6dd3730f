//go:build race

package gobreaker

const raceEnabled = true
