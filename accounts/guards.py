"""The triggers and functions of the accounts app in this release: `python -m tests.guards` writes this file."""

from foundation.database.guards import Guards

GUARDS = Guards(
    names="^accounts_",
    triggers={
        "accounts_act_is_history": ("accounts_act", "87781cb577472f06faf1a867a3ae4951"),
        "accounts_act_is_not_truncated": ("accounts_act", "49526091f08367ff3b86be43051e6a44"),
        "accounts_planchange_is_history": ("accounts_planchange", "da2974b05e25872512bfb5f63b1409bf"),
        "accounts_planchange_is_not_truncated": ("accounts_planchange", "d5889f9a3a50dda7b9e46d2d3b34af92"),
        "accounts_user_empties_its_mailbox": ("accounts_user", "57b6b24fc3512fac5ce19ad98cf5753e"),
    },
    functions={
        "accounts_act_stays()": "0b90f34502fdec7a30f20bd56a915a3f",
        "accounts_is_history()": "cf01182bb27962ebc62d7e8134315ab1",
        "accounts_mailbox_is_emptied()": "c34c752f1ce1ddede04e44a44fcf9eb8",
    },
)
