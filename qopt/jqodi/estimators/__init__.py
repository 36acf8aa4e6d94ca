"""How the loss goes on: from epochs that were seen to gamma, gamma^run, gamma^update and K, with their uncertainty."""
