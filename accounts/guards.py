"""The triggers and functions of the accounts app in this release: `python -m tests.guards` writes this file."""

from foundation.database.guards import Guards

GUARDS = Guards(
    names="^accounts_",
    triggers={
        "accounts_act_is_history": ("accounts_act", "896159bcd71d358a02d056530e450463"),
        "accounts_act_is_not_deleted": ("accounts_act", "350f1a5aa2fbcaab80170576ec08e18e"),
        "accounts_act_is_not_truncated": ("accounts_act", "d5889f9a3a50dda7b9e46d2d3b34af92"),
        "accounts_act_is_of_now": ("accounts_act", "549cff088d35954fb9b57582b1c1789e"),
        "accounts_act_is_older": ("accounts_act", "b8d275eeaa83cf1e75a6cdf44ed0cf7c"),
        "accounts_apikey_stays_revoked": ("accounts_apikey", "db63543d015f1efbfe6fa833afaeb2ad"),
        "accounts_plan_is_its_last_change": ("accounts_plan", "e4e2c618c52151593aad7170cb151d0e"),
        "accounts_planchange_is_dated_now": ("accounts_planchange", "578779e6264021ba4600f1df534f81f6"),
        "accounts_planchange_is_history": ("accounts_planchange", "da2974b05e25872512bfb5f63b1409bf"),
        "accounts_planchange_is_not_truncated": ("accounts_planchange", "d5889f9a3a50dda7b9e46d2d3b34af92"),
        "accounts_planchange_is_of_its_plan": ("accounts_planchange", "ad84e2b821a2d07f37e57e86142ac6f4"),
        "accounts_redaction_is_history": ("accounts_redaction", "da2974b05e25872512bfb5f63b1409bf"),
        "accounts_redaction_is_not_truncated": ("accounts_redaction", "d5889f9a3a50dda7b9e46d2d3b34af92"),
        "accounts_servicekey_stays_revoked": ("accounts_servicekey", "db63543d015f1efbfe6fa833afaeb2ad"),
        "accounts_user_begins_plainly": ("accounts_user", "ab7447885b71a67d2ef0e1f1930b3a66"),
        "accounts_user_empties_its_mailbox": ("accounts_user", "57b6b24fc3512fac5ce19ad98cf5753e"),
        "accounts_user_groups_have_their_act": ("accounts_user_groups", "ae1bb4886cc33606b5feb594219cbd30"),
        "accounts_user_has_its_act": ("accounts_user", "8a060750423aecfe8525ae5b4c7c3ba1"),
        "accounts_user_is_no_superuser": ("accounts_user", "c035b96d5f42c6f00bf5950e91a7b1d1"),
    },
    functions={
        "accounts_access_has_its_act()": "b4403a8c75fe488690746881460e8957",
        "accounts_act_is_of_now()": "dce42ea52daae4213d0415f816b64b77",
        "accounts_act_is_older()": "bfc7ef3a4a1bbed6602a8a2614e12136",
        "accounts_has_acted(text, text, text)": "8824a3eefe69be309b9dc6a83780e98a",
        "accounts_is_dated_now()": "27cf010719cb971c2da3aec61bb18ed3",
        "accounts_is_history()": "cf01182bb27962ebc62d7e8134315ab1",
        "accounts_is_owner(oid)": "64fcf69290252ba5a289f81ce6245032",
        "accounts_mailbox_is_emptied()": "c34c752f1ce1ddede04e44a44fcf9eb8",
        "accounts_plan_is_its_last_change()": "2c86f57911397513cc93f12119d7a3e9",
        "accounts_redacts()": "ab6c48e104479ec5a9d387047117455d",
        "accounts_user_is_no_superuser()": "4d999fbc1f6dc8d3e1f89962d0a82f29",
    },
)
