package config

const fileType = "file"

var fileSettings = realmSettings(fileType, []realmSetting{
	{"authentication.enabled", "true", "", "boolean", "When false, the realm's users cannot log in and serve as targets of run-as only.", asBool},
	{"cache.ttl", "20m", "", "duration; 0 is off", "Accepted without effect: the files are in memory, and a password that was proven is not hashed again until they change.", asDuration(zeroIsOff)},
	{"cache.max_users", "100000", "", "whole number above 0", "As `cache.ttl`.", asNumber(1, 100_000_000)},
	{"cache.hash_algo", "ssha256", "", "name of a hash", "As `cache.ttl`.", asText},
})
