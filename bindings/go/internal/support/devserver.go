// Package support is what the tests share. Everything that is started here ends with the test that
// asked for it.
package support

import (
	"bufio"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Devserver starts a development server with its data in memory, and gives its URL.
func Devserver(t testing.TB, options ...string) string {
	t.Helper()
	url, stop, err := StartDevserver(options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return url
}

// StartDevserver is for where there is no test.
func StartDevserver(options ...string) (url string, stop func(), err error) {
	program := os.Getenv("DEVSERVER")
	if program == "" {
		return "", nil, os.ErrNotExist
	}
	// It ends by itself if the tests are killed, because its standard input ends then.
	command := exec.Command(program, append([]string{"--port", "0", "--stop-on-stdin-eof"}, options...)...)
	command.Stderr = os.Stderr
	input, err := command.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	output, err := command.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := command.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = input.Close()
		_ = command.Wait()
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, err
	}
	return strings.TrimSpace(line), stop, nil
}
