SELECT current_database()::text,
       session_user::text,
       current_user::text,
       extract(epoch FROM transaction_timestamp())::double precision
