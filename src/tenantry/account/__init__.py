"""/account: the pages behind the links in mails, plain ones, for who has no front end yet."""
