/**
 * The function `caps_by_period`, which the shared schema contains: the cap that holds for a
 * principal in each period. A user's own cap goes before one of a group, that before the
 * organization's. Inside a tier mode `min` takes an unlimited cap last, any other mode first;
 * among groups `min` takes the lowest amount, any other mode the highest; ties go to the lower id.
 */
export const capsByPeriodSignature = 'caps_by_period(text, text[], text)'

export const createCapsByPeriod = `
CREATE FUNCTION caps_by_period(p_principal text, p_groups text[], p_mode text)
RETURNS TABLE (period text, amount bigint, scope_type text, scope_id text, id text)
LANGUAGE sql STABLE
AS $body$
  SELECT DISTINCT ON (cap.period)
    cap.period, cap.amount, cap.scope_type, cap.scope_id, cap.id
  FROM spend_limits AS cap
  WHERE (cap.scope_type = 'user' AND cap.scope_id = p_principal)
     OR (cap.scope_type = 'rbac_group' AND cap.scope_id = ANY (p_groups))
     OR cap.scope_type = 'organization'
  ORDER BY
    cap.period,
    array_position(ARRAY['user', 'rbac_group', 'organization'], cap.scope_type),
    (cap.amount IS NULL) = (p_mode = 'min'),
    CASE WHEN cap.scope_type <> 'rbac_group' THEN 0
         WHEN p_mode = 'min' THEN cap.amount
         ELSE -cap.amount END,
    cap.id
$body$`
