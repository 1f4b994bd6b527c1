package main

// attacks are the checks of the attacker who speaks the protocol and knows all of a victim's ids.
func attacks() []check {
	return []check{
		{pkg: auditPackage, test: "TestTheAttackerReplaysFrames", shows: "replay, also behind the token's expiry"},
		{pkg: auditPackage, test: "TestTheAttackerSmugglesAtTheDoor", shows: "two identities in one handshake"},
		{pkg: "./shared/gateway", test: "TestAuthorizerRefusesTwoLinesOfAHeader", shows: "two lines of one header are no token"},
		{pkg: auditPackage, test: "TestTheAttackerForgesTheVictimsToken", shows: "forged tokens"},
		{pkg: auditPackage, test: "TestBadInput", shows: "tokens of another audience, issuer, key, kind, time or form, handshakes from other pages, and input that is none"},
		{pkg: auditPackage, test: "TestTheAttackerNamesTheGatewaysRoutes", shows: "the names of API Gateway's routes, and frames of the server"},
		{pkg: auditPackage, test: "TestTheAttackerHasAStolenConnectionID", shows: "a stolen connection id"},
		{pkg: auditPackage, test: "TestTheAttackerOnTheVictimsConnection", shows: "an event on another's connection"},
		{pkg: auditPackage, test: "TestTheAttackerFloods", shows: "floods beside a conversation"},
		{pkg: auditPackage, test: "TestTheAttackerAsksToolsForOthersData", shows: "tools and prompts that ask for another's data"},
	}
}

// aliases are those about ids and names that are taken for others.
func aliases() []check {
	return []check{
		{pkg: auditPackage, test: "TestNotYoursIsNotThere", shows: "another's and nobody's: the same bytes by the same requests"},
		{pkg: auditPackage, test: "TestTheAttackerIsNamedLikeTheVictim", shows: "users whose names nearly meet, over sockets"},
	}
}
