package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"grapevine/people"
)

func (a *app) userCommand() []*cobra.Command {
	return []*cobra.Command{a.loginCommand(), a.logoutCommand(), a.projectCommand(), group("user", "Users of the registries' users file", []*cobra.Command{
		{Use: "list", Short: "List the users that a registry knows", Aliases: []string{"ls"}, Args: takes(), RunE: a.userList},
		{
			Use: "revoke USER", Short: "Revoke all tokens that a user has got so far", Args: takes("USER"), RunE: a.userRevoke,
			Long: `Revoke all tokens that a user has got so far, at every node of the fleet.

Whoever still knows the password, or has an API key, gets new ones: disable the
user in the users file as well. It takes an admin, the user, or the certificate
of an operator.`,
		},
		{
			Use: "revoke-token ID", Short: "Revoke one token, by the id that a registry logged", Args: takes("ID"), RunE: a.tokenRevoke,
		},
		{
			Use: "hash-password", Short: "Read a password and print its hash, for the users file", Args: takes(),
			Long: `Read a password, twice from a terminal without showing it or one line from
standard input, and print the argon2id hash that stands for it in the users
file: password = "$argon2id$...". No node is asked.`,
			RunE: a.userHashPassword,
		},
		{
			Use: "new-key", Short: "Make an API key, and print it with the hash for the users file", Args: takes(),
			Long: `Draw an API key of 256 bits, and print it with its hash. The key goes to the
program that is to use it, the hash into the users file, as a table
[[users.keys]] of its user. Nobody can get the key back from the hash. No node
is asked.`,
			RunE: a.userNewKey,
		},
	})}
}

func (a *app) userHashPassword(*cobra.Command, []string) error {
	password, err := a.newPassword()
	if err != nil {
		return err
	}
	hash, err := people.HashPassword(password)
	if err != nil {
		return err
	}
	return a.print(map[string]string{"password": hash}, func() written { return line(hash) })
}

func (a *app) userNewKey(*cobra.Command, []string) error {
	key, hash := people.NewAPIKey()
	return a.print(map[string]string{"api_key": key, "sha256": hash}, func() written {
		t := &table{columns: []column{{title: "API KEY, FOR THE PROGRAM"}, {title: "SHA256, FOR THE USERS FILE"}}}
		t.add(text(key), text(hash))
		return t
	})
}

// newPassword reads a password that is new: a person types it twice.
func (a *app) newPassword() (string, error) {
	first, err := a.secret("Password: ")
	if err != nil || !a.asking {
		return first, err
	}
	again, err := a.secret("Again: ")
	if err == nil && again != first {
		return "", errors.New("the two passwords are not the same; nothing was made")
	}
	return first, err
}

// secret asks a person for a line without showing it, or reads one from what is
// not a terminal.
func (a *app) secret(prompt string) (string, error) {
	if file, ok := a.in.(*os.File); ok && a.asking {
		fmt.Fprint(a.errOut, prompt)
		text, err := term.ReadPassword(int(file.Fd()))
		fmt.Fprintln(a.errOut)
		if err != nil {
			return "", fmt.Errorf("read from the terminal: %w", err)
		}
		return string(text), nil
	}
	text, err := bufio.NewReader(io.LimitReader(a.in, people.MaxPasswordBytes+3)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read standard input: %w", err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r"), nil
}
