package stack

import "context"

// Kill kills the processes of a function, named by its logical id, that work for a user at this moment (SIGKILL), and
// returns how many they were once they are gone. user is the key of the user's partition, which is the tenant id too.
func (s *Stack) Kill(ctx context.Context, logicalID, user string) (int, error) {
	return s.host.Kill(ctx, s.functionName(logicalID), user)
}
