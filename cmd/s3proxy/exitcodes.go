package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/config"
	"github.com/s3proxy/s3proxy/cmd/s3proxy/internal/ops"
)

// The exit codes of all commands. docs/COMMANDS.md shows them too; a test compares the two.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitNo     = 3
)

var exitCodes = []struct {
	code    int
	meaning string
}{
	{exitDone, "yes, or done"},
	{exitFailed, "failed, wholly or in part: what stands on standard error was not done, or is damaged; also if the run was interrupted"},
	{exitUsage, "wrong flags, environment or configuration: nothing was done"},
	{exitNo, "no: the question could be looked into, and this is the answer (keys status: not safe to destroy; doctor: not all is well)"},
}

// exitCode gives the code for the error that a command ended with.
func exitCode(err error) int {
	var usage config.UsageError
	var mistake ops.Mistake
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage), errors.As(err, &mistake):
		return exitUsage
	case onlyNo(err):
		return exitNo
	}
	return exitFailed
}

// onlyNo tells whether an error says nothing but that answers are no.
func onlyNo(err error) bool {
	if _, no := err.(ops.No); no {
		return true
	}
	switch err := err.(type) {
	case interface{ Unwrap() []error }:
		for _, one := range err.Unwrap() {
			if !onlyNo(one) {
				return false
			}
		}
		return true
	case interface{ Unwrap() error }:
		return onlyNo(err.Unwrap())
	}
	return false
}

// exitCodesText is the table as it stands in help.
func exitCodesText() string {
	var b strings.Builder
	b.WriteString("Exit codes:\n")
	for _, c := range exitCodes {
		fmt.Fprintf(&b, "  %d  %s\n", c.code, c.meaning)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// exitCodesTopic makes "s3proxy help exit-codes".
func exitCodesTopic() *cobra.Command {
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes of all commands mean", Long: exitCodesText()}
}

// interrupted is the end of a run by a signal.
type interrupted struct{ goOn string }

func (i interrupted) Error() string { return "interrupted, " + i.goOn }
