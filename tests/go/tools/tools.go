//go:build tools

// Package tools names the programs that check the Go code, so that go.mod pins them.
package tools

import _ "honnef.co/go/tools/cmd/staticcheck"
