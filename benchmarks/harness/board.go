package harness

import (
	"fmt"
	"net"
	"net/http"

	"github.com/holdfast-go/holdfast/resilience"
	"github.com/holdfast-go/holdfast/resilience/board"
)

const boardPath = "/holdfast/"

// showBoard serves a board, if the process is to have one, and returns it as
// what the client is to name.
func (p *process) showBoard() (resilience.Observer, error) {
	if p.cfg.Board == "" {
		return nil, nil
	}
	b, err := board.New(board.Config{Steer: board.BearerToken("whoever has the link", p.cfg.Token)})
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", p.cfg.Board) //nolint:noctx // a listen on loopback does not block
	if err != nil {
		return nil, fmt.Errorf("board: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle(boardPath, b)
	p.serve(func() error { return ServeHTTP(l, mux) })
	return b, nil
}
